"""The statements that read and prune the change feed, in the two ways that databases allow.

A database with one writer numbers the rows in the order of commits. In one with several writers, rows are ordered by
their transactions, and a row is read only once every transaction that began to write before its own has ended: then no
row comes before it any more.
"""

import functools
from typing import Any

import sqlalchemy as sa

from aaow_storage_sql._schema.tables import changes
from aaow_storage_sql._statements.dialect import Dialect

_COLUMNS = (changes.c.transaction_id, changes.c.position, changes.c.at, changes.c.changes)
_NUMBER = sa.bindparam("from_number", type_=sa.BigInteger)
_LIMIT = sa.bindparam("limit", type_=sa.BigInteger)


def _is_final(dialect: Dialect) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a row before which no other row can come any more."""
    if dialect.has_one_writer:
        return []
    oldest = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
    return [changes.c.transaction_id < sa.cast(sa.cast(oldest, sa.Text), sa.BigInteger)]


def _order(dialect: Dialect) -> list[sa.ColumnElement[Any]]:
    return [changes.c.position] if dialect.has_one_writer else [changes.c.transaction_id, changes.c.position]


def _key(dialect: Dialect) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return what rows are ordered by, and the parameters to compare it with."""
    if dialect.has_one_writer:
        return changes.c.position, _NUMBER
    transaction = sa.bindparam("from_transaction", type_=sa.BigInteger)
    return sa.tuple_(changes.c.transaction_id, changes.c.position), sa.tuple_(transaction, _NUMBER)


@functools.cache
def rows_from(dialect: Dialect) -> Any:
    """Return the SELECT of the rows from one on, in order."""
    column, key = _key(dialect)
    return sa.select(*_COLUMNS).where(column >= key, *_is_final(dialect)).order_by(*_order(dialect)).limit(_LIMIT)


@functools.cache
def last_rows(dialect: Dialect) -> Any:
    """Return the SELECT of the last rows, the last one first."""
    order = [column.desc() for column in _order(dialect)]
    return sa.select(*_COLUMNS).where(*_is_final(dialect)).order_by(*order).limit(_LIMIT)


@functools.cache
def last_row_before(dialect: Dialect) -> Any:
    """Return the SELECT of the last row before one."""
    column, key = _key(dialect)
    order = [column.desc() for column in _order(dialect)]
    return sa.select(*_COLUMNS).where(column < key, *_is_final(dialect)).order_by(*order).limit(1)


@functools.cache
def first_row_since(dialect: Dialect) -> Any:
    """Return the SELECT of the first row that was recorded at an instant or later."""
    since = changes.c.at >= sa.bindparam("since", type_=changes.c.at.type)
    return sa.select(*_COLUMNS).where(since, *_is_final(dialect)).order_by(*_order(dialect)).limit(1)


@functools.cache
def count_before(dialect: Dialect) -> Any:
    """Return the SELECT of the number of changes in the rows before one."""
    column, key = _key(dialect)
    text = changes.c.changes if dialect.has_one_writer else sa.cast(changes.c.changes, sa.JSON)
    return sa.select(sa.func.sum(sa.func.json_array_length(text), type_=sa.BigInteger)).where(
        column < key, *_is_final(dialect)
    )


@functools.cache
def delete_before(dialect: Dialect) -> Any:
    """Return the DELETE of the rows before one; with one writer, the last row of all stays."""
    column, key = _key(dialect)
    others = []
    if dialect.has_one_writer:
        others = [changes.c.position < sa.select(sa.func.max(changes.c.position)).scalar_subquery()]
    return sa.delete(changes).where(column < key, *others, *_is_final(dialect))


EMPTY_IF_LAST = (
    sa.update(changes)
    .where(changes.c.position == sa.bindparam("of_number", type_=sa.BigInteger))
    .values(changes=sa.literal_column("'[]'"))
)
"""Removes the changes of a row that stays although it was pruned."""
