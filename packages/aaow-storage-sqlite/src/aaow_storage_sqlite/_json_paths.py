"""What lies at a path in JSON, as an expression of SQLite's own, which an index can have.

SQLite uses an index on an expression where a statement holds that very expression, so both take it from here.
"""

import re
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import Condition, Operator

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MOST = 2**31


def json_value(column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any] | None:
    """Return the expression for what lies at a path in a JSON column; None for a path that no index can have."""
    if not all(_KEY.fullmatch(key) for key in path):
        return None
    text = "$" + "".join(f'."{key}"' for key in path)
    return sa.func.json_extract(sa.type_coerce(column, sa.Text), sa.literal_column(f"'{text}'"))


def can_be_found(condition: Condition) -> bool:
    """Say whether values that meet a condition on JSON are equal to its operand for SQLite's own functions too.

    They are where it is text, or a small integer: other numbers SQLite may read a little differently than Python.
    """
    operand = condition.operand
    is_plain = type(operand) is str or (type(operand) is int and abs(operand) < _MOST)
    return condition.operator is Operator.EQ and not condition.negated and is_plain
