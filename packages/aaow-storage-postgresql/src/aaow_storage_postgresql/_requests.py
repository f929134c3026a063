"""What workers are asked for."""

from typing import Any

from attrs import frozen

from aaow_storage.errors import StorageError
from aaow_storage_postgresql._pipelined_reads import PointRead
from aaow_storage_sql import InteractiveTransaction, Job, Outcome, deliver


@frozen(eq=False)
class Read:
    """A job that only reads."""

    job: Job[Any]


@frozen(eq=False)
class Write:
    """A job that writes; one that may be repeated comes to the same when it is run twice."""

    job: Job[Any]
    may_be_repeated: bool


Request = PointRead | Read | Write | InteractiveTransaction


def job_of(request: Request) -> Job[Any]:
    """Return the job whose outcome the request waits for."""
    return request.opened if isinstance(request, InteractiveTransaction) else request.job


def refuse(request: Request, error: StorageError) -> None:
    """Answer a request with an error, unless it has an answer."""
    job_of(request).claim()
    if not isinstance(request, InteractiveTransaction):
        deliver([Outcome(request.job, error=error)])
    elif request.outcome is None:
        request.refuse(error)


def as_storage_error(error: BaseException, place: str) -> StorageError:
    """Return the error of storage for one that no code expects, which is its cause."""
    if isinstance(error, StorageError):
        return error
    problem = f"{type(error).__name__} ended the operation: {error}; it may or may not be stored"
    made = StorageError(f"{place}: {problem}")
    made.__cause__ = error
    return made
