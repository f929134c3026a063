"""The value at a path in JSON, as an expression of SQLite's own that can be indexed.

SQLite uses an index on an expression only for statements with that very expression, so both take it from here.
"""

import re
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import Condition, Operator

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MAX_SMALL_INTEGER = 2**31


def json_value(column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any] | None:
    """Return the expression for the value at a path in a JSON column, or None for a path that cannot be indexed."""
    if not all(_KEY.fullmatch(key) for key in path):
        return None
    text = "$" + "".join(f'."{key}"' for key in path)
    return sa.func.json_extract(sa.type_coerce(column, sa.Text), sa.literal_column(f"'{text}'"))


def is_indexable(condition: Condition) -> bool:
    """Return whether SQLite's own functions, and so an index, find every value that meets a condition on JSON.

    They do if the operand is text or a small integer; other numbers SQLite may read slightly differently than Python.
    """
    operand = condition.operand
    is_plain = type(operand) is str or (type(operand) is int and abs(operand) < _MAX_SMALL_INTEGER)
    return condition.operator is Operator.EQ and not condition.negated and is_plain
