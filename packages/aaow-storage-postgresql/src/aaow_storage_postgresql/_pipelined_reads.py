"""Finding records for several callers at once: their lookups go to the server together, and so do the answers come.

Waking the server's process for a lookup, and being woken for its answer, costs several times what the lookup does.
"""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from aaow_storage.errors import StorageError
from aaow_storage_postgresql._connection import NotAnsweredError, PostgreSQLConnection
from aaow_storage_postgresql._errors import is_late
from aaow_storage_sql import Job, Lookup, Outcome, Row


@frozen(eq=False)
class Find:
    """A job that looks a record up, and what it looks up."""

    job: Job[Any]
    lookup: Lookup[Any]
    id: str


def found(finds: Sequence[Find], connection: PostgreSQLConnection) -> list[Outcome] | None:
    """Take the jobs and look all of these up; None where nothing is known of any, and each is to be looked up alone.

    A server that has no answer in time has none for any of them.
    """
    taken = [find for find in finds if find.job.take()]
    try:
        with connection.answering(*(find.job for find in taken)):
            wanted = [find for find in taken if not find.job.is_abandoned]
            rows_of_each = connection.rows_of_each((find.lookup.statement, {"id": find.id}) for find in wanted)
    except StorageError as error:
        if is_late(error) or isinstance(error, NotAnsweredError):
            return [Outcome(find.job, error=error) for find in taken]
        for find in taken:
            find.job.put_back()
        return None
    return [_outcome(find, rows) for find, rows in zip(wanted, rows_of_each, strict=True)]


def _outcome(find: Find, rows: Sequence[Row]) -> Outcome:
    try:
        return Outcome(find.job, value=find.lookup.record(rows[0] if rows else None))
    except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
        return Outcome(find.job, error=error)
