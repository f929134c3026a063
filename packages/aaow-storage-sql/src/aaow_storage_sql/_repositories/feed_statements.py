"""The statements that read and prune the change feed, in the three ways that databases allow; see `FeedOrder`.

A database with one writer numbers the rows in the order of commits. In one with several writers that can say which
transactions have ended, rows are ordered by their transactions, and a row is read only once every transaction that
began to write before its own has ended: then no row comes before it any more. In one that cannot, rows are stored
without a number; those that are committed get the next numbers, in `transaction_id`, before somebody reads. Their
positions tell the order among them: a transaction that sees what another has changed inserts its row later.
"""

import functools
from typing import Any

import sqlalchemy as sa

from aaow_storage_sql._schema.revisions import VERSION_TABLE
from aaow_storage_sql._schema.tables import change_feed, changes
from aaow_storage_sql._statements.dialect import Dialect, FeedOrder

_COLUMNS = (changes.c.transaction_id, changes.c.position, changes.c.at, changes.c.changes)
_TRANSACTION = sa.bindparam("from_transaction", type_=sa.BigInteger)
_NUMBER = sa.bindparam("from_number", type_=sa.BigInteger)
_LIMIT = sa.bindparam("limit", type_=sa.BigInteger)


VERSION: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(sa.table(VERSION_TABLE))
"""Selects the row that says which schema the store has. Whoever commits changes shares its lock."""


_ROW = {"at": sa.bindparam("at", type_=changes.c.at.type), "changes": sa.bindparam("changes", type_=sa.Text)}
STORE = sa.insert(changes).values(_ROW)
"""Stores what a transaction has changed."""


@functools.cache
def store_if_recording(dialect: Dialect) -> Any:
    """Return the INSERT that does the same, or nothing if the store records no changes."""
    row = sa.select(*_ROW.values())
    if dialect.has_one_writer:
        chosen = row.where(sa.select(change_feed.c.is_recording).scalar_subquery())
    else:
        chosen = row.select_from(change_feed).where(
            change_feed.c.is_recording, VERSION.with_for_update(read=True).exists()
        )
    return sa.insert(changes).from_select([*_ROW], chosen, include_defaults=False)


def _is_final(dialect: Dialect) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a row before which no other row can come any more."""
    match dialect.orders_changes:
        case FeedOrder.POSITION:
            return []
        case FeedOrder.NUMBERED:
            return [changes.c.transaction_id.is_not(None)]
    oldest = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
    return [changes.c.transaction_id < sa.cast(sa.cast(oldest, sa.Text), sa.BigInteger)]


def _order(dialect: Dialect) -> list[sa.ColumnElement[Any]]:
    """Return what rows are ordered by; numbers are unique."""
    match dialect.orders_changes:
        case FeedOrder.POSITION:
            return [changes.c.position]
        case FeedOrder.NUMBERED:
            return [changes.c.transaction_id]
    return [changes.c.transaction_id, changes.c.position]


def _is_from(dialect: Dialect) -> sa.ColumnElement[bool]:
    """Return the condition of the rows from one on."""
    match dialect.orders_changes:
        case FeedOrder.POSITION:
            return changes.c.position >= _NUMBER
        case FeedOrder.NUMBERED:
            later = sa.or_(changes.c.transaction_id > _TRANSACTION, changes.c.position >= _NUMBER)
            return sa.and_(changes.c.transaction_id >= _TRANSACTION, later)
    return sa.tuple_(changes.c.transaction_id, changes.c.position) >= sa.tuple_(_TRANSACTION, _NUMBER)


def _is_before(dialect: Dialect) -> sa.ColumnElement[bool]:
    """Return the condition of the rows before one."""
    match dialect.orders_changes:
        case FeedOrder.POSITION:
            return changes.c.position < _NUMBER
        case FeedOrder.NUMBERED:
            earlier = sa.or_(changes.c.transaction_id < _TRANSACTION, changes.c.position < _NUMBER)
            return sa.and_(changes.c.transaction_id <= _TRANSACTION, earlier)
    return sa.tuple_(changes.c.transaction_id, changes.c.position) < sa.tuple_(_TRANSACTION, _NUMBER)


@functools.cache
def rows_from(dialect: Dialect) -> Any:
    """Return the SELECT of the rows from one on, in order."""
    return sa.select(*_COLUMNS).where(_is_from(dialect), *_is_final(dialect)).order_by(*_order(dialect)).limit(_LIMIT)


@functools.cache
def last_rows(dialect: Dialect) -> Any:
    """Return the SELECT of the last rows, the last one first."""
    order = [column.desc() for column in _order(dialect)]
    return sa.select(*_COLUMNS).where(*_is_final(dialect)).order_by(*order).limit(_LIMIT)


@functools.cache
def last_row_before(dialect: Dialect) -> Any:
    """Return the SELECT of the last row before one."""
    order = [column.desc() for column in _order(dialect)]
    return sa.select(*_COLUMNS).where(_is_before(dialect), *_is_final(dialect)).order_by(*order).limit(1)


@functools.cache
def first_row_since(dialect: Dialect) -> Any:
    """Return the SELECT of the first row that was recorded at an instant or later."""
    since = changes.c.at >= sa.bindparam("since", type_=changes.c.at.type)
    return sa.select(*_COLUMNS).where(since, *_is_final(dialect)).order_by(*_order(dialect)).limit(1)


@functools.cache
def count_before(dialect: Dialect) -> Any:
    """Return the SELECT of the number of changes in the rows before one."""
    length = dialect.length_of_array(changes.c.changes)
    return sa.select(sa.func.sum(length, type_=sa.BigInteger)).where(_is_before(dialect), *_is_final(dialect))


@functools.cache
def delete_before(dialect: Dialect) -> Any:
    """Return the DELETE of the rows before one; with one writer, the last row of all stays."""
    others = []
    if dialect.orders_changes is FeedOrder.POSITION:
        others = [changes.c.position < sa.select(sa.func.max(changes.c.position)).scalar_subquery()]
    return sa.delete(changes).where(_is_before(dialect), *others, *_is_final(dialect))


EMPTY_IF_LAST = (
    sa.update(changes)
    .where(changes.c.position == sa.bindparam("of_number", type_=sa.BigInteger))
    .values(changes=sa.literal_column("'[]'"))
)
"""Removes the changes of a row that stays although it was pruned."""


UNNUMBERED = (
    sa.select(changes.c.position).where(changes.c.transaction_id.is_(None)).order_by(changes.c.position).limit(_LIMIT)
)
"""Selects the positions of committed rows that have no number, the first ones."""
LAST_NUMBER = sa.select(sa.func.max(changes.c.transaction_id, type_=sa.BigInteger))
"""Selects the last number that a row has."""


@functools.cache
def set_numbers(count: int) -> Any:
    """Return the UPDATE that numbers so many rows: `number_0` is that of the row at `position_0`, and so on."""
    pairs = [
        [sa.bindparam(f"{name}_{index}", type_=sa.BigInteger) for name in ("position", "number")]
        for index in range(count)
    ]
    number = sa.case(*((changes.c.position == position, number) for position, number in pairs))
    is_one = changes.c.position.in_([position for position, _ in pairs])
    return sa.update(changes).where(is_one, changes.c.transaction_id.is_(None)).values(transaction_id=number)
