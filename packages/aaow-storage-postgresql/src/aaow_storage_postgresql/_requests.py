"""Requests to the worker threads: a read, a write, or an interactive transaction."""

from typing import Any

from attrs import frozen

from aaow_storage.errors import StorageError
from aaow_storage_sql import InteractiveTransaction, Job, Lookup, Outcome, deliver


@frozen(eq=False)
class PointRead:
    """A job that reads one record by its id. It may be sent in a pipeline with others."""

    job: Job[Any]
    lookup: Lookup[Any]
    id: str


@frozen(eq=False)
class Read:
    """A job that only reads."""

    job: Job[Any]


@frozen(eq=False)
class Write:
    """A job that writes. If it is idempotent, to run it twice has the same effect as once."""

    job: Job[Any]
    is_idempotent: bool


Request = PointRead | Read | Write | InteractiveTransaction


def job_of(request: Request) -> Job[Any]:
    """Return the job that the caller of the request waits for."""
    return request.opened if isinstance(request, InteractiveTransaction) else request.job


def refuse(request: Request, error: StorageError) -> None:
    """Answer a request with an error, unless it is answered already."""
    job_of(request).claim()
    if not isinstance(request, InteractiveTransaction):
        deliver([Outcome(request.job, error=error)])
    elif request.outcome is None:
        request.refuse(error)


def as_storage_error(error: BaseException, place: str) -> StorageError:
    """Return the error itself if it is one of storage, or else one that it is the cause of."""
    if isinstance(error, StorageError):
        return error
    problem = f"{type(error).__name__} ended the operation: {error}; it may or may not be stored"
    made = StorageError(f"{place}: {problem}")
    made.__cause__ = error
    return made
