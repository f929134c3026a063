"""Point reads of several callers, sent to the server in one pipeline.

A round trip, with a wake-up of the server's process and of ours, costs several times what a lookup by id costs.
"""

from collections.abc import Sequence

from aaow_storage.errors import StorageError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_sql import Meaning, NoAnswerError, Outcome, PointRead, Row


def fetch_pipelined(reads: Sequence[PointRead], connection: PostgreSQLConnection) -> list[Outcome] | None:
    """Claim the jobs and read their records in one pipeline; return None if each has to be read alone.

    If the server does not answer in time, that is the outcome of all of them.
    """
    claimed = [read for read in reads if read.job.claim()]
    try:
        with connection.interruptible_by(*(read.job for read in claimed)):
            wanted = [read for read in claimed if not read.job.is_cancelled]
            rows_of_each = connection.pipeline_rows((read.lookup.statement, {"id": read.id}) for read in wanted)
    except StorageError as error:
        if connection.dialect.meaning(error) is Meaning.LATE or isinstance(error, NoAnswerError):
            return [Outcome(read.job, error=error) for read in claimed]
        for read in claimed:
            read.job.release()
        return None
    return [_outcome(read, rows) for read, rows in zip(wanted, rows_of_each, strict=True)]


def _outcome(read: PointRead, rows: Sequence[Row]) -> Outcome:
    try:
        return Outcome(read.job, value=read.lookup.hydrate(rows[0] if rows else None))
    except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
        return Outcome(read.job, error=error)
