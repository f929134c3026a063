"""Finding records for several callers at once: their lookups go to the server together, and so do the answers come.

Waking the server's process for a lookup, and being woken for its answer, costs several times what the lookup does.
"""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from aaow_storage.errors import StorageError
from aaow_storage_postgresql._connection import NoAnswerError, PostgreSQLConnection
from aaow_storage_postgresql._errors import is_timeout
from aaow_storage_sql import Job, Lookup, Outcome, Row


@frozen(eq=False)
class PointRead:
    """A job that looks a record up, and what it looks up."""

    job: Job[Any]
    lookup: Lookup[Any]
    id: str


def fetch_pipelined(reads: Sequence[PointRead], connection: PostgreSQLConnection) -> list[Outcome] | None:
    """Take the jobs and look all of these up; None where nothing is known of any, and each is to be looked up alone.

    A server that has no answer in time has none for any of them.
    """
    taken = [read for read in reads if read.job.claim()]
    try:
        with connection.interruptible_by(*(read.job for read in taken)):
            wanted = [read for read in taken if not read.job.is_cancelled]
            rows_of_each = connection.pipeline_rows((read.lookup.statement, {"id": read.id}) for read in wanted)
    except StorageError as error:
        if is_timeout(error) or isinstance(error, NoAnswerError):
            return [Outcome(read.job, error=error) for read in taken]
        for read in taken:
            read.job.release()
        return None
    return [_outcome(read, rows) for read, rows in zip(wanted, rows_of_each, strict=True)]


def _outcome(read: PointRead, rows: Sequence[Row]) -> Outcome:
    try:
        return Outcome(read.job, value=read.lookup.record(rows[0] if rows else None))
    except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
        return Outcome(read.job, error=error)
