"""Naming the index of a page after a cursor.

MariaDB estimates how many rows follow the cursor, and takes that for the cost of reading all rows of the list, too. So
while its statistics are older than the rows, it reads a list from the beginning: 80 ns for each row before the page.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators


def with_page_index(statement: sa.Select[Any], keys: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """Return the SELECT with the index that has the columns of its list, then the keys of its order, if one has."""
    froms = statement.get_final_froms()
    if len(froms) != 1 or not isinstance(table := froms[0], sa.Table):
        return statement
    fixed = set(_columns_of_the_list(statement))
    for index in table.indexes:
        columns = list(index.columns)
        count = len(columns) - len(keys)
        if columns[count:] == [*keys] and fixed.issuperset(columns[:count]):
            return statement.with_hint(table, f"FORCE INDEX ({index.name})")
    return statement


def _columns_of_the_list(statement: sa.Select[Any]) -> Iterator[sa.Column[Any]]:
    """Yield the columns that are compared with one value."""
    where = statement.whereclause
    for condition in where.clauses if isinstance(where, sa.BooleanClauseList) else [where]:
        if (
            isinstance(condition, sa.BinaryExpression)
            and condition.operator is operators.eq
            and isinstance(condition.left, sa.Column)
            and isinstance(condition.right, sa.BindParameter)
        ):
            yield condition.left
