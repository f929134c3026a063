"""Stream events."""

from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from aaow_storage import QueryFilter, StreamEvent, StreamSummary
from aaow_storage.authoring import plan_query
from aaow_storage.errors import CorruptDataError, NotFoundError, StorageError
from aaow_storage_sql._mapping.record_rows import STREAM_EVENT_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow, InsertedRows
from aaow_storage_sql._mapping.rows import hydrate_all
from aaow_storage_sql._operation import FALL_BACK, FallBack, operation
from aaow_storage_sql._repositories import event_statements as statements
from aaow_storage_sql._repositories.recording import CREATED, DELETED, ids_before
from aaow_storage_sql._schema.tables import kind_of, sessions, stream_events
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import done_by_upsert, run_upsert, save_row, save_rows
from aaow_storage_sql._statements.insert_statements import select_existence
from aaow_storage_sql._statements.plan import plan_rows
from aaow_storage_sql._statements.select import Source
from aaow_storage_sql._tuning import DEFAULT

_ROWS = sa.select(*(stream_events.c[name] for name in STREAM_EVENT_FIELDS))
_ALL = Source(_ROWS, dict(stream_events.c))
_OF_STREAM = Source(_ROWS.where(stream_events.c.stream_id == sa.bindparam("in_stream")), dict(stream_events.c))
_AFTER = Source(
    _OF_STREAM.select.where(stream_events.c.sequence > sa.bindparam("after_sequence", type_=sa.BigInteger)),
    dict(stream_events.c),
)
_SUMMARY_FIELDS = ("stream_id", "session_id", "events", "last_sequence", "first_event_at", "last_event_at")
_first_session = sa.func.min(stream_events.c.session_id, type_=stream_events.c.session_id.type)
_grouped = sa.select(
    stream_events.c.stream_id,
    sa.case((_first_session == sa.func.max(stream_events.c.session_id), _first_session)).label("session_id"),
    sa.func.count().label("events"),
    sa.func.max(stream_events.c.sequence).label("last_sequence"),
    sa.func.min(stream_events.c.timestamp, type_=stream_events.c.timestamp.type).label("first_event_at"),
    sa.func.max(stream_events.c.timestamp, type_=stream_events.c.timestamp.type).label("last_event_at"),
).group_by(stream_events.c.stream_id)


def _summaries_of(grouped: sa.Select[Any]) -> Source:
    found = grouped.subquery("summaries")
    return Source(sa.select(*(found.c[name] for name in _SUMMARY_FIELDS)), dict(found.c), is_lockable=False)


_SUMMARIES = _summaries_of(_grouped)
_others = stream_events.alias("of_session")
_SUMMARIES_OF_SESSION = _summaries_of(
    _grouped.where(
        stream_events.c.stream_id.in_(
            sa.select(_others.c.stream_id).where(_others.c.session_id == sa.bindparam("in_session"))
        )
    )
)
"""The streams with events of a session: so the events of others are not read to find those that have no others."""
_IN_STREAM = (
    sa.select(stream_events.c.id, stream_events.c.session_id)
    .where(stream_events.c.stream_id == sa.bindparam("stream_id"))
    .order_by(stream_events.c.sequence)
)
_DELETE = sa.delete(stream_events).where(stream_events.c.stream_id == sa.bindparam("stream_id"))


def _save_new(connection: SQLConnection, row: InsertedRow) -> Literal[FallBack.FALL_BACK] | None:
    """Save the event with one statement, if it is new, or replaces one in its stream, and nothing is in the way."""
    dialect = connection.dialect
    statement = statements.insert_numbered(dialect, tuple(row))
    if statement is None:
        return FALL_BACK
    try:
        if not run_upsert(connection, statement, row):
            return FALL_BACK
    except StorageError as error:
        if not dialect.is_foreign_key_violation(error):
            raise
        return FALL_BACK
    connection.record("stream_event", row["id"], row.get("session_id"), done_by_upsert(connection))
    return None


@operation(writes=True, fast_path=_save_new, is_idempotent=True)
def save(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert the event, or replace the whole row."""
    _save(connection, [row])


@operation(writes=True, is_idempotent=True)
def save_all(connection: SQLConnection, rows: Sequence[InsertedRow]) -> list[int]:
    """Insert or replace the events, whose ids differ; return their sequences."""
    return _save(connection, rows)


@operation(writes=False)
def of_stream(connection: SQLConnection, stream_id: str, filter: QueryFilter | None) -> list[StreamEvent]:
    """Return the events of a stream that match the filter."""
    plan = plan_query(StreamEvent, filter, "timestamp")
    rows = plan_rows(connection, _OF_STREAM, plan, {"in_stream": stream_id})
    return _events(rows)


@operation(writes=False)
def after_sequence(
    connection: SQLConnection, stream_id: str, sequence: int, filter: QueryFilter | None
) -> list[StreamEvent]:
    """Return the events of a stream with a higher sequence that match the filter."""
    plan = plan_query(StreamEvent, filter, "sequence")
    rows = plan_rows(connection, _AFTER, plan, {"in_stream": stream_id, "after_sequence": sequence})
    return _events(rows)


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[StreamEvent]:
    """Return the events of all streams that match the filter."""
    return _events(plan_rows(connection, _ALL, plan_query(StreamEvent, filter, "timestamp")))


@operation(writes=False)
def summaries(connection: SQLConnection, filter: QueryFilter | None) -> list[StreamSummary]:
    """Return the summaries of the streams that match the filter."""
    plan = plan_query(StreamSummary, filter, "first_event_at")
    session_id = None if filter is None else filter.where.get("session_id")
    if isinstance(session_id, str):
        rows = plan_rows(connection, _SUMMARIES_OF_SESSION, plan, {"in_session": session_id})
    else:
        rows = plan_rows(connection, _SUMMARIES, plan)
    return hydrate_all(StreamSummary, _SUMMARY_FIELDS, rows)


@operation(writes=False)
def last_sequences(connection: SQLConnection, stream_ids: Collection[str]) -> Mapping[str, int]:
    """Return the last sequence of each of those streams that has events."""
    rows = connection.rows(statements.last_sequences(connection.dialect), {"stream_ids": [*stream_ids]})
    return {stream_id: last for stream_id, last in rows if last is not None}


@operation(writes=True)
def delete(connection: SQLConnection, stream_id: str) -> int:
    """Delete the events of a stream; return how many there were."""
    _keep_last(connection, stream_id)
    events = ids_before(connection, _IN_STREAM, {"stream_id": stream_id})
    deleted = connection.run(_DELETE, {"stream_id": stream_id})
    for event_id, session_id in events:
        connection.record("stream_event", event_id, session_id, DELETED)
    return deleted


def keep_sequences_of_session(connection: SQLConnection, session_id: str) -> None:
    """Keep the last sequences of the streams that have events of a session, because those are about to be deleted."""
    if connection.dialect.has_one_writer:
        connection.run(statements.keep_last(connection.dialect.insert, of_session=True), {"session_id": session_id})


def _keep_last(connection: SQLConnection, stream_id: str) -> None:
    if connection.dialect.has_one_writer:
        connection.run(statements.keep_last(connection.dialect.insert, of_session=False), {"stream_id": stream_id})


def _events(rows: Sequence[Row]) -> list[StreamEvent]:
    """Return the events of rows.

    Raises:
        CorruptDataError: a row has a value that was never stored.
    """
    events = hydrate_all(StreamEvent, STREAM_EVENT_FIELDS, rows)
    for event in events:
        if event.sequence is None:  # which an event may lack that is not stored
            raise CorruptDataError(f"StreamEvent.sequence of the stored StreamEvent {event.id!a:.300} is null")
    return events


def _save(connection: SQLConnection, rows: Sequence[InsertedRow]) -> list[int]:
    """Insert or replace the rows, each with its sequence: the one that it has in its stream, or else the next.

    Streams are locked in one order, so that two calls never wait for each other.

    Raises:
        NotFoundError: a session is not stored.
    """
    last = {stream_id: _last(connection, stream_id) for stream_id in sorted({row["stream_id"] for row in rows})}
    given = dict(last)
    found = connection.rows(statements.stored_events(connection.dialect), {"ids": [row["id"] for row in rows]})
    stored = {event_id: (stream_id, sequence) for event_id, stream_id, sequence in found}
    for session_id in {row["session_id"]: None for row in rows if "session_id" in row}:
        if connection.row(select_existence(sessions.c.id), {"id": session_id}) is None:
            raise NotFoundError(kind_of(sessions), session_id)
    sequences = []
    for row in rows:
        stream_id, sequence = stored.get(row["id"], (None, 0))
        if stream_id != row["stream_id"]:
            if stream_id is not None:
                _keep_last(connection, stream_id)
            sequence = given[row["stream_id"]] = given[row["stream_id"]] + 1
        sequences.append(sequence)
    _replace(connection, rows, sequences, stored)
    if not connection.dialect.has_one_writer:
        for stream_id, sequence in given.items():
            if sequence != last[stream_id]:
                connection.run(statements.SET_LAST, {"of_stream": stream_id, "last": sequence})
    return sequences


def _last(connection: SQLConnection, stream_id: str) -> int:
    """Return the last sequence of a stream, in which nobody else gives one until the transaction ends."""
    dialect = connection.dialect
    statement = statements.LAST if dialect.has_one_writer else statements.lock_stream(dialect.insert)
    row = connection.row(statement, {"stream_id": stream_id})
    return 0 if row is None else int(row[0])


def _replace(
    connection: SQLConnection,
    rows: Sequence[InsertedRow],
    sequences: Sequence[int],
    stored: Container[str],
) -> None:
    """Insert or replace the rows, and note what that changed.

    If changes are recorded here, those that are stored are replaced one by one, to see which of them changed.
    """
    if connection.recorder is not None:
        numbered = [{**row, "sequence": sequence} for row, sequence in zip(rows, sequences, strict=True)]
        done = {row["id"]: save_row(connection, stream_events, row) for row in numbered if row["id"] in stored}
        new = [number for number, row in enumerate(rows) if row["id"] not in stored]
        _insert(connection, [rows[number] for number in new], [sequences[number] for number in new])
        for row in rows:
            connection.record("stream_event", row["id"], row.get("session_id"), done.get(row["id"], CREATED))
    else:
        _insert(connection, rows, sequences)


def _insert(connection: SQLConnection, rows: Sequence[InsertedRow], sequences: Sequence[int]) -> None:
    if not rows:
        return
    present = {name for row in rows for name in row}
    names = tuple(column.name for column in stream_events.columns if column.name in present)
    values = [(*map(row.get, names), sequence) for row, sequence in zip(rows, sequences, strict=True)]
    save_rows(connection, stream_events, InsertedRows((*names, "sequence"), values), DEFAULT.max_inserted_events)
