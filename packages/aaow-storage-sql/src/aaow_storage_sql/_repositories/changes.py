"""The change feed."""

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aaow_storage import Capability, Change, now
from aaow_storage.authoring import (
    ChangeQuery,
    FeedEntry,
    FeedPosition,
    FeedRow,
    check_kept,
    loads,
    make_change,
    parse_position,
    position_in,
)
from aaow_storage.errors import CorruptDataError, UnsupportedOperationError, ValidationError
from aaow_storage_sql._operation import operation
from aaow_storage_sql._repositories import feed_statements as statements
from aaow_storage_sql._schema.tables import change_feed, changes
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._tuning import DEFAULT

_FEED = sa.select(change_feed.c.generation, change_feed.c.is_recording, change_feed.c.pruned)
_STORE = sa.insert(changes).from_select(
    ["at", "changes"],
    sa.select(sa.bindparam("at", type_=changes.c.at.type), sa.bindparam("changes", type_=sa.Text)).where(
        sa.select(change_feed.c.is_recording).scalar_subquery()
    ),
    include_defaults=False,
)
_SET_PRUNED = sa.update(change_feed).values(pruned=sa.bindparam("last", type_=sa.Text))
_RESTART = sa.update(change_feed).values(
    generation=sa.bindparam("name", type_=sa.Text), is_recording=sa.bindparam("records"), pruned=None
)
_CLEAR = sa.delete(changes)
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_NOWHERE = (0, 0)
_ENTRY_LENGTH = len(FeedEntry._fields)


def store(connection: SQLConnection, entries: Sequence[FeedEntry]) -> None:
    """Store what the open transaction has changed, as one row, if the store records changes."""
    connection.run(_STORE, {"at": now(), "changes": _encode(entries)})


def restart(connection: SQLConnection, *, records: bool) -> None:
    """Begin another feed, without changes, in the open transaction; positions of the one before are refused."""
    connection.run(_CLEAR)
    connection.run(_RESTART, {"name": secrets.token_hex(4), "records": records})


@operation(writes=False)
def read(connection: SQLConnection, query: ChangeQuery) -> list[Change]:
    """Return the changes of a query."""
    generation, pruned = _feed(connection, "get_changes")
    after = query.after
    if after is not None and not check_kept(after, generation, pruned, _last_row(connection, pruned)):
        found = [*query.from_next_row().select(generation, _rows(connection, query, after.number + 1))]
    else:
        found = [*query.select(generation, _rows(connection, query, 0 if after is None else after.number))]
    if connection.is_interactive and after is not None and not connection.dialect.has_one_writer:
        # Each statement of the transaction sees what is committed by then, so some may have been pruned meanwhile.
        generation, pruned = _feed(connection, "get_changes")
        check_kept(after, generation, pruned, _last_row(connection, pruned))
    return found


@operation(writes=False)
def last(connection: SQLConnection) -> Change | None:
    """Return the last change."""
    generation, _ = _feed(connection, "last_change")
    for row in connection.rows(statements.last_rows(connection.dialect), {"limit": 2}):  # a row may have no changes
        feed_row = _feed_row(row)
        if feed_row.entries:
            return make_change(generation, feed_row, len(feed_row.entries) - 1)
    return None


@operation(writes=True)
def prune(connection: SQLConnection, before: FeedPosition | datetime) -> int:
    """Delete the rows before a position, or an instant; keep which one was the last."""
    generation, pruned = _feed(connection, "prune_changes")
    dialect = connection.dialect
    if isinstance(before, FeedPosition):
        if not check_kept(before, generation, pruned, _last_row(connection, pruned)):
            return 0
        end = before.row
    elif (first := connection.row(statements.first_row_since(dialect), {"since": before})) is not None:
        end = _key(first)
    elif (newest := connection.row(statements.last_rows(dialect), {"limit": 1})) is not None:
        end = (_key(newest)[0], _key(newest)[1] + 1)
    else:
        return 0
    key = {"from_transaction": end[0], "from_number": end[1]}
    row = connection.row(statements.last_row_before(dialect), key)
    if row is None or not (removed := _feed_row(row)).entries:
        return 0
    count = connection.row(statements.count_before(dialect), key)
    connection.run(statements.delete_before(dialect), key)
    position = position_in(generation, removed, len(removed.entries) - 1)
    if dialect.has_one_writer:
        # The row with the highest position stays, because the next one gets the position after it.
        connection.run(statements.EMPTY_IF_LAST, {"of_number": removed.number})
    connection.run(_SET_PRUNED, {"last": str(position)})
    return 0 if count is None else int(count[0] or 0)


def _feed(connection: SQLConnection, asked: str) -> tuple[str, FeedPosition | None]:
    """Return the generation of the feed, and the position of the last change that was pruned.

    Raises:
        UnsupportedOperationError: the store records no changes.
        CorruptDataError: the feed has not one row of the kind that a migration creates.
    """
    row = connection.row(_FEED)
    if row is None:
        raise CorruptDataError("the table change_feed has no row: restore a backup")
    generation, records, pruned = row
    if not records:
        raise UnsupportedOperationError(asked, Capability.CHANGES)
    try:
        return generation, None if pruned is None else parse_position("change_feed", "pruned", pruned)
    except ValidationError as error:
        raise CorruptDataError(f"the table change_feed has a wrong position: {error}") from error


def _last_row(connection: SQLConnection, pruned: FeedPosition | None) -> tuple[int, int]:
    """Return what identifies the last row, which may be pruned."""
    row = connection.row(statements.last_rows(connection.dialect), {"limit": 1})
    return max(_NOWHERE if row is None else _key(row), _NOWHERE if pruned is None else pruned.row)


def _rows(connection: SQLConnection, query: ChangeQuery, number: int) -> Iterator[FeedRow]:
    """Yield the rows from that of the query's position on, some at a time."""
    statement = statements.rows_from(connection.dialect)
    transaction = 0 if query.after is None else query.after.transaction
    size = min(query.limit + 1, DEFAULT.max_feed_rows)
    while True:
        connection.check_not_cancelled()
        key = {"from_transaction": transaction, "from_number": number, "limit": size}
        rows = connection.rows(statement, key)
        yield from map(_feed_row, rows)
        if len(rows) < size:
            return
        transaction, number = _key(rows[-1])
        number += 1


def _key(row: Row) -> tuple[int, int]:
    return row[0] or 0, row[1]


def _feed_row(row: Row) -> FeedRow:
    """Return the changes of a row.

    Raises:
        CorruptDataError: it has none.
    """
    transaction, number, at, text = row
    try:
        entries: Any = loads(text)
    except Exception as error:
        raise _unreadable(number) from error
    if type(entries) is not list or not all(type(each) is list and len(each) == _ENTRY_LENGTH for each in entries):
        raise _unreadable(number)
    return FeedRow(transaction or 0, number, at, entries)


def _unreadable(number: int) -> CorruptDataError:
    return CorruptDataError(f"the row {number} of the table changes is not a list of changes: restore a backup")
