"""Requests to the worker threads: the call of one operation, or an interactive transaction."""

from typing import Any

from aaow_storage.errors import StorageError
from aaow_storage_sql._threads.interactive_transaction import InteractiveTransaction
from aaow_storage_sql._threads.job import Job, Outcome, deliver

Request = Job[Any] | InteractiveTransaction


def job_of(request: Request) -> Job[Any]:
    """Return the job that the caller of the request waits for."""
    return request.opened if isinstance(request, InteractiveTransaction) else request


def refuse(request: Request, error: StorageError) -> None:
    """Answer a request with an error, unless it is answered already."""
    job_of(request).claim()
    if isinstance(request, InteractiveTransaction):
        if request.outcome is None:
            request.refuse(error)
    else:
        deliver([Outcome(request, error=error)])


def as_storage_error(error: BaseException, place: str) -> StorageError:
    """Return the error itself if it is one of storage, or else one that it is the cause of."""
    if isinstance(error, StorageError):
        return error
    problem = f"{type(error).__name__} ended the operation: {error}; it may or may not be stored"
    made = StorageError(f"{place}: {problem}")
    made.__cause__ = error
    return made
