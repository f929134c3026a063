"""The statements that number stream events, in the two ways that databases allow.

A database with one writer takes the number after the last one of the stream: nobody else gives one until the commit. In
one with several writers, a transaction locks the row of the stream in `streams` until its commit, so that the next
number is given, and becomes visible, after that.
"""

import functools
from typing import Any

import sqlalchemy as sa

from aaow_storage_sql._schema.tables import stream_events, streams
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.insert_statements import (
    Insert,
    Names,
    Replaces,
    bind_for,
    columns_of,
    parent_exists,
    replacing,
)

_STREAM = sa.bindparam("stream_id", type_=streams.c.stream_id.type)
_OTHERS = [
    column for column in stream_events.columns if column.name not in {"id", "stream_id", "session_id", "sequence"}
]
_LAST_STORED = (
    sa.select(sa.func.max(stream_events.c.sequence)).where(stream_events.c.stream_id == _STREAM).scalar_subquery()
)
_LAST_KEPT = sa.select(streams.c.last_sequence).where(streams.c.stream_id == _STREAM).scalar_subquery()
_ZERO: sa.ColumnElement[int] = sa.literal_column("0")
_LAST: sa.ColumnElement[Any] = sa.func.max(sa.func.coalesce(_LAST_STORED, _ZERO), sa.func.coalesce(_LAST_KEPT, _ZERO))
"""The last sequence of a stream, in a database with one writer: the larger of two, which its `max` returns."""

LAST = sa.select(_LAST)
"""Selects it."""


def insert_numbered(dialect: Dialect, names: Names) -> Any:
    """Return the statement that saves an event whose columns are those and its sequence, or changes nothing.

    It inserts a new event whose session is stored. With one writer, it also replaces one of the same stream and
    session. None if it takes several statements.
    """
    if dialect.has_one_writer:
        return _after_last(dialect.insert, names, dialect.replaces)
    return _under_lock(dialect.insert, names) if dialect.has_statements_that_insert_into_two_tables else None


@functools.cache
def _after_last(insert: Insert, names: Names, replaces: Replaces) -> Any:
    values: dict[str, Any] = {each.name: bind_for(each, each.name) for each in columns_of(stream_events, names)}
    statement = insert(stream_events).values({**values, "sequence": _LAST + sa.literal_column("1")})
    is_same = sa.and_(
        stream_events.c.stream_id == statement.excluded.stream_id,
        stream_events.c.session_id.is_not_distinct_from(statement.excluded.session_id),
    )
    return replacing(statement, stream_events, _OTHERS, is_same, replaces)


@functools.cache
def _under_lock(insert: Insert, names: Names) -> Any:
    columns = columns_of(stream_events, names)
    is_stored = sa.select(sa.literal(1)).where(stream_events.c.id == bind_for(stream_events.c.id, "id")).exists()
    wanted = [~is_stored, *(parent_exists(column) for column in columns if column.foreign_keys)]
    first = sa.select(_STREAM, sa.literal_column("1")).where(*wanted)
    number = _next(insert(streams).from_select(["stream_id", "last_sequence"], first), 1).cte("numbered")
    values = sa.select(*(bind_for(column, column.name) for column in columns), number.c.last_sequence)
    return insert(stream_events).from_select([*(column.name for column in columns), "sequence"], values)


def _next(statement: Any, step: int) -> Any:
    increased = streams.c.last_sequence + sa.literal_column(str(step))
    statement = statement.on_conflict_do_update(index_elements=["stream_id"], set_={"last_sequence": increased})
    return statement.returning(streams.c.last_sequence)


@functools.cache
def lock_stream(insert: Insert) -> Any:
    """Return the statement that locks the row of a stream until the commit, and returns its last sequence."""
    return _next(insert(streams).values({"stream_id": _STREAM, "last_sequence": sa.literal_column("0")}), 0)


SET_LAST = (
    sa.update(streams)
    .where(streams.c.stream_id == sa.bindparam("of_stream", type_=streams.c.stream_id.type))
    .values(last_sequence=sa.bindparam("last", type_=sa.BigInteger))
)
"""Sets the last sequence of a stream that is locked."""


@functools.cache
def keep_last(insert: Insert, *, of_session: bool) -> Any:
    """Return the statement that keeps the last sequences of streams whose events are about to go.

    They are one stream, or those that have events of one session.
    """
    stream_id, session_id = (bind_for(stream_events.c[name], name) for name in ("stream_id", "session_id"))
    of_this = sa.select(stream_events.c.stream_id).where(stream_events.c.session_id == session_id)
    condition = stream_events.c.stream_id.in_(of_this) if of_session else stream_events.c.stream_id == stream_id
    last = sa.select(stream_events.c.stream_id, sa.func.max(stream_events.c.sequence)).where(condition)
    statement = insert(streams).from_select(["stream_id", "last_sequence"], last.group_by(stream_events.c.stream_id))
    larger = sa.func.max(streams.c.last_sequence, statement.excluded.last_sequence)
    return statement.on_conflict_do_update(index_elements=["stream_id"], set_={"last_sequence": larger})


@functools.cache
def last_sequences(dialect: Dialect) -> Any:
    """Return the SELECT of the last sequence of each of many streams, None for one without events."""
    listed = dialect.listed("stream_ids")
    of_stream = sa.select(sa.func.max(stream_events.c.sequence)).where(stream_events.c.stream_id == listed.c.value)
    return sa.select(listed.c.value, of_stream.scalar_subquery())


@functools.cache
def stored_events(dialect: Dialect) -> Any:
    """Return the SELECT of the id, stream and sequence of those of many events that are stored, which locks them."""
    listed = dialect.listed("ids")
    columns = (stream_events.c.id, stream_events.c.stream_id, stream_events.c.sequence)
    return dialect.for_update(sa.select(*columns).where(stream_events.c.id.in_(sa.select(listed.c.value))))
