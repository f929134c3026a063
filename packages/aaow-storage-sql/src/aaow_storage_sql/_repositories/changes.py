"""The change feed."""

import itertools
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aaow_storage import Capability, Change, ChangeAction, now
from aaow_storage.authoring import (
    KINDS,
    ChangeQuery,
    FeedEntry,
    FeedPosition,
    FeedRow,
    check_kept,
    dumps_unchecked,
    loads,
    make_change,
    parse_position,
    position_in,
)
from aaow_storage.errors import CorruptDataError, UnsupportedOperationError, ValidationError
from aaow_storage_sql._corrupt_data import unreadable
from aaow_storage_sql._operation import operation
from aaow_storage_sql._repositories import feed_statements as statements
from aaow_storage_sql._schema.tables import change_feed, changes
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import FeedOrder
from aaow_storage_sql._tuning import DEFAULT

_FEED = sa.select(change_feed.c.generation, change_feed.c.is_recording, change_feed.c.pruned)
_SET_PRUNED = sa.update(change_feed).values(pruned=sa.bindparam("last", type_=sa.Text))
_BEGIN = sa.insert(change_feed).values(
    generation=sa.bindparam("name", type_=sa.Text), is_recording=sa.bindparam("records"), pruned=None
)
_END = sa.delete(change_feed)
_CLEAR = sa.delete(changes)
_NOWHERE = (0, 0)
_FIRST_NUMBER = -(2**63)
"""No row has a lower number; those that are stored are positive."""
_GENERATION = re.compile("[0-9a-z]{1,32}", re.ASCII)
_MAX_NUMBERED = 128
"""How many rows one statement numbers at most."""
_ENTRY_LENGTH = len(FeedEntry._fields)
_KINDS = frozenset(KINDS.values())
_ACTIONS = frozenset(map(str, ChangeAction))
_REMEDY = "restore a backup, or open the store with changes=False and then changes=True, which begins another feed"


def store(connection: SQLConnection, entries: list[Any]) -> None:
    """Store what the open transaction has changed, each entry the values of a `FeedEntry`, if changes are recorded.

    Raises:
        CorruptDataError: an id that was read from the store is not text.
    """
    try:
        text = dumps_unchecked(entries)
    except TypeError as error:
        raise unreadable("an id", "", error) from error
    statement = statements.STORE if connection.is_known_to_record else statements.store_if_recording(connection.dialect)
    connection.run(statement, {"at": now(), "changes": text})


@operation(writes=False)
def has_unnumbered(connection: SQLConnection) -> bool:
    """Say whether committed rows wait for their numbers."""
    return connection.row(statements.UNNUMBERED, {"limit": 1}) is not None


@operation(writes=True, is_for_readers=True)
def number(connection: SQLConnection) -> None:
    """Give committed rows that have no number the next ones, up to some at a time.

    If another process does so at the same time, the numbers are taken, and the operation runs again.
    """
    rows = connection.rows(statements.UNNUMBERED, {"limit": DEFAULT.max_feed_rows})
    feed = connection.row(_FEED)
    pruned = None if feed is None or feed[2] is None else parse_position("change_feed", "pruned", feed[2])
    (last,) = connection.row(statements.LAST_NUMBER) or (None,)
    following = itertools.count(max(last or 0, 0 if pruned is None else pruned.transaction) + 1)
    numbered = [(position, next(following)) for (position,) in rows]
    while numbered:
        count = min(1 << (len(numbered).bit_length() - 1), _MAX_NUMBERED)
        values: dict[str, int] = {}
        for index, (position, new) in enumerate(numbered[:count]):
            values |= {f"position_{index}": position, f"number_{index}": new}
        connection.run(statements.set_numbers(count), values)
        del numbered[:count]


def restart(connection: SQLConnection, *, records: bool) -> None:
    """Begin another feed, without changes, in the open transaction; positions of the one before are refused.

    With several writers, it waits for those that are about to commit, and they wait for it.
    """
    connection.row(connection.dialect.for_update(statements.VERSION))
    connection.run(_CLEAR)
    connection.run(_END)
    connection.run(_BEGIN, {"name": secrets.token_hex(4), "records": records})


@operation(writes=False, reads_feed=True)
def read(connection: SQLConnection, query: ChangeQuery) -> list[Change]:
    """Return the changes of a query."""
    generation, pruned = _feed(connection, "get_changes")
    after = query.after
    with _refused_changes():
        if after is not None and not check_kept(after, generation, pruned, _last_row(connection, pruned)):
            rows = _rows(connection, query, after.number + 1, pruned)
            found = [*query.from_next_row().select(generation, rows)]
        else:
            rows = _rows(connection, query, _FIRST_NUMBER if after is None else after.number, pruned)
            found = [*query.select(generation, rows)]
    if connection.is_interactive and after is not None and connection.dialect.orders_changes is not FeedOrder.POSITION:
        # Each statement of the transaction sees what is committed by then, so some may have been pruned meanwhile.
        generation, pruned = _feed(connection, "get_changes")
        check_kept(after, generation, pruned, _last_row(connection, pruned))
    return found


@operation(writes=False, reads_feed=True)
def last(connection: SQLConnection) -> Change | None:
    """Return the last change."""
    generation, pruned = _feed(connection, "last_change")
    for row in connection.rows(statements.last_rows(connection.dialect), {"limit": 2}):  # a row may have no changes
        feed_row = _feed_row(connection, row, pruned)
        if feed_row.entries:
            with _refused_changes():
                return make_change(generation, feed_row, len(feed_row.entries) - 1)
    return None


@operation(writes=True, reads_feed=True)
def prune(connection: SQLConnection, before: FeedPosition | datetime) -> int:
    """Delete the rows before a position, or an instant; keep which one was the last."""
    generation, pruned = _feed(connection, "prune_changes")
    dialect = connection.dialect
    if isinstance(before, FeedPosition):
        if not check_kept(before, generation, pruned, _last_row(connection, pruned)):
            return 0
        _check_there(connection, before, pruned)
        end = before.row
    elif (first := connection.row(statements.first_row_since(dialect), {"since": before})) is not None:
        end = _feed_row(connection, first, pruned)[:2]
    elif (newest := connection.row(statements.last_rows(dialect), {"limit": 1})) is not None:
        end = (_key(newest)[0], _key(newest)[1] + 1)
    else:
        return 0
    key = {"from_transaction": end[0], "from_number": end[1]}
    row = connection.row(statements.last_row_before(dialect), key)
    if row is None or not (removed := _feed_row(connection, row, pruned)).entries:
        return 0
    count = connection.row(statements.count_before(dialect), key)
    connection.run(statements.delete_before(dialect), key)
    position = position_in(generation, removed, len(removed.entries) - 1)
    if dialect.orders_changes is FeedOrder.POSITION:
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
        raise _corrupt("the table change_feed has no row")
    generation, records, text = row
    if type(records) is not bool:
        raise _corrupt(f"change_feed.is_recording is {records!a:.100}")
    if not records:
        raise UnsupportedOperationError(asked, Capability.CHANGES)
    if type(generation) is not str or not _GENERATION.fullmatch(generation):
        raise _corrupt(f"change_feed.generation is {generation!a:.100}")
    try:
        pruned = None if text is None else parse_position("change_feed", "pruned", text)
    except ValidationError as error:
        raise _corrupt(str(error)) from error
    if pruned is not None and pruned.generation != generation:
        raise _corrupt(f"change_feed.pruned is {text!a:.100}, a position of another feed")
    return generation, pruned


def _last_row(connection: SQLConnection, pruned: FeedPosition | None) -> tuple[int, int]:
    """Return what identifies the last row, which may be pruned."""
    row = connection.row(statements.last_rows(connection.dialect), {"limit": 1})
    return max(_NOWHERE if row is None else _key(row), _NOWHERE if pruned is None else pruned.row)


def _check_there(connection: SQLConnection, position: FeedPosition, pruned: FeedPosition | None) -> None:
    """Check that a change has that position.

    Raises:
        ChangesLostError: another one is there, because the store was restored from a copy, or none is.
    """
    key = {"from_transaction": position.transaction, "from_number": position.number, "limit": 1}
    row = connection.row(statements.rows_from(connection.dialect), key)
    found = None if row is None else _feed_row(connection, row, pruned)
    if (
        found is None
        or position.entry >= len(found.entries)
        or position_in(position.generation, found, position.entry) != position
    ):
        raise position.lost()


def _rows(connection: SQLConnection, query: ChangeQuery, number: int, pruned: FeedPosition | None) -> Iterator[FeedRow]:
    """Yield the rows from that of the query's position on, some at a time.

    Raises:
        CorruptDataError: a row has a value that was never stored, or one is missing.
    """
    statement = statements.rows_from(connection.dialect)
    transaction = _FIRST_NUMBER if query.after is None else query.after.transaction
    size = min(query.limit + 1, DEFAULT.max_feed_rows)
    before = None if query.after is None else number - 1
    while True:
        connection.check_not_cancelled()
        key = {"from_transaction": transaction, "from_number": number, "limit": size}
        rows = connection.rows(statement, key)
        for row in rows:
            feed_row = _feed_row(connection, row, pruned)
            if connection.dialect.orders_changes is FeedOrder.POSITION:
                before = _check_next(feed_row, before, pruned)
            yield feed_row
        if len(rows) < size:
            return
        transaction, number = _key(rows[-1])
        number += 1


def _check_next(row: FeedRow, before: int | None, pruned: FeedPosition | None) -> int:
    """Check that a row comes next after the one with a number, or is the first that is kept; return its own number.

    Numbers have no gaps where there is one writer.

    Raises:
        CorruptDataError: it does not, so rows are missing.
    """
    if before is None:
        before = (0 if pruned is None else pruned.number) - (not row.entries)
    if row.number != before + 1:
        raise _corrupt(f"changes.position: the row {before + 1} is missing before the row {row.number}")
    return row.number


def _key(row: Row) -> tuple[int, int]:
    return row[0] or 0, row[1]


def _feed_row(connection: SQLConnection, row: Row, pruned: FeedPosition | None) -> FeedRow:
    """Return the changes of a row.

    Raises:
        CorruptDataError: it has a value that was never stored.
    """
    transaction, number, at, text = row
    has_no_transaction = connection.dialect.orders_changes is FeedOrder.POSITION
    if number < 1:
        raise _corrupt(f"changes.position is {number}")
    if (transaction is not None) if has_no_transaction else transaction < 1:
        raise _corrupt(f"changes.transaction_id of the row {number} is {transaction!a:.100}")
    if not isinstance(at, datetime):
        raise _corrupt(f"changes.at of the row {number} is no instant: {at!a:.100}")
    try:
        entries: Any = loads(text) if type(text) is str else None
    except CorruptDataError as error:
        raise _corrupt(f"changes.changes of the row {number}: {error}") from error
    if type(entries) is not list or not all(map(_is_entry, entries)):
        raise _corrupt(f"changes.changes of the row {number} is no list of changes: {text!a:.100}")
    if not entries and (pruned is None or number != pruned.number):
        raise _corrupt(f"changes.changes of the row {number} has no changes, and they were not pruned")
    return FeedRow(transaction or 0, number, at, entries)


def _is_entry(entry: Any) -> bool:
    if type(entry) is not list or len(entry) != _ENTRY_LENGTH:
        return False
    kind, record_id, session_id, action = entry
    return (
        type(kind) is type(record_id) is type(action) is str
        and kind in _KINDS
        and action in _ACTIONS
        and (session_id is None or type(session_id) is str)
    )


@contextmanager
def _refused_changes() -> Iterator[None]:
    """Raise a CorruptDataError if `Change` refuses a value that was stored."""
    try:
        yield
    except ValidationError as error:
        raise _corrupt(f"changes.changes has what is no change: {error}") from error


def _corrupt(what: str) -> CorruptDataError:
    return CorruptDataError(f"{what}; {_REMEDY}")
