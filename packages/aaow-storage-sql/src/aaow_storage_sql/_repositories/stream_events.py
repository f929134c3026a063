"""Stream events."""

import sqlalchemy as sa

from aaow_storage import QueryFilter, StreamEvent
from aaow_storage.authoring import plan_query
from aaow_storage_sql._mapping.record_rows import STREAM_EVENT_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._mapping.rows import hydrate_all
from aaow_storage_sql._operation import operation
from aaow_storage_sql._schema.tables import stream_events
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import save_row
from aaow_storage_sql._statements.select import Source, plan_rows

_OF_STREAM = Source(
    sa.select(*(stream_events.c[name] for name in STREAM_EVENT_FIELDS)).where(
        stream_events.c.stream_id == sa.bindparam("in_stream")
    ),
    dict(stream_events.c),
)


@operation(writes=True, is_single_statement=True, is_idempotent=True)
def save(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert the event, or replace the whole row."""
    save_row(connection, stream_events, row)


@operation(writes=False)
def of_stream(connection: SQLConnection, stream_id: str, filter: QueryFilter | None) -> list[StreamEvent]:
    """Return the events of a stream that match the filter."""
    plan = plan_query(StreamEvent, filter, "timestamp")
    rows = [(*row, None) for row in plan_rows(connection, _OF_STREAM, plan, {"in_stream": stream_id})]
    return hydrate_all(StreamEvent, (*STREAM_EVENT_FIELDS, "sequence"), rows)
