"""SQL that only SQLite has, and the functions that this backend adds, as expressions of SQLAlchemy."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert

from aaow_storage.authoring import MAX_AMOUNT_DIGITS, Condition, FieldKind, dumps
from aaow_storage.errors import CorruptDataError
from aaow_storage_sql import make_compiler
from aaow_storage_sqlite._arrays import JSONArray
from aaow_storage_sqlite._functions import JSON_COLLATION
from aaow_storage_sqlite._json_paths import json_value

__all__ = [
    "DIALECT",
    "compile",
    "insert",
    "is_in_list",
    "joined",
    "json_condition",
    "json_sort_value",
    "listed",
    "microseconds_between",
    "position",
    "replaces",
    "start_of",
    "sum_of_amounts",
]

DIALECT: sa.Dialect = sqlite_dialect(paramstyle="qmark")
compile = make_compiler(DIALECT)  # noqa: A001 - the name of the dialect's method


def position(text: sa.ColumnElement[Any], part: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """See `Dialect.position`."""
    return sa.func.instr(text, part)


def replaces(may_replace: sa.ColumnElement[Any], differs: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """See `Dialect.replaces`."""
    return sa.func.aaow_replaces(may_replace, differs, type_=sa.Integer) == sa.literal_column("1")


def is_in_list(compared: sa.ColumnElement[Any], parameter: str, kind: FieldKind) -> sa.ColumnElement[bool]:
    """See `Dialect.is_in_list`."""
    values = sa.bindparam(parameter, type_=JSONArray(compared.type))
    if kind is FieldKind.NUMBER:  # SQLite may read one slightly differently than Python
        return sa.func.aaow_is_among(compared, values, type_=sa.Integer) == sa.literal_column("1")
    return compared.in_(sa.select(sa.column("value")).select_from(sa.func.json_each(values)))


def listed(parameter: str) -> sa.FromClause:
    """See `Dialect.listed`."""
    values = sa.bindparam(parameter, type_=JSONArray(sa.Text()))
    return sa.func.json_each(values).table_valued(sa.column("value", sa.Text))


def json_condition(column: sa.ColumnElement[Any], condition: Condition, parameter: str) -> sa.ColumnElement[bool]:
    """See `Dialect.json_condition`."""
    operand = sa.bindparam(parameter, type_=sa.Text)
    body = sa.type_coerce(column, sa.Text)
    path = dumps(list(condition.field.path))
    matches = sa.func.aaow_json_matches(body, path, condition.operator.value, operand, type_=sa.Integer)
    holds = matches == sa.literal_column("1")
    value = json_value(column, condition.field.path) if condition.operand else None
    return holds if value is None else sa.and_(value == sa.func.json_extract(operand, "$"), holds)


def json_sort_value(column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any]:
    """See `Dialect.json_sort_value`."""
    value = sa.func.aaow_json_sort_value(sa.type_coerce(column, sa.Text), dumps(list(path)), type_=sa.Text)
    return sa.collate(value, JSON_COLLATION)


class _SummedAmounts(sa.types.TypeDecorator[Decimal]):
    """The sum of amounts that are joined in one text; SQLite itself adds no decimals exactly."""

    impl = sa.Text
    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[str], Decimal]:
        """Return the function that adds up the amounts."""
        return _sum


def _sum(text: str) -> Decimal:
    """Add up amounts between commas, each with as many digits on either side of its point.

    Raises:
        CorruptDataError: they have not.
    """
    digits = text.replace(".", "")
    count = len(text) - len(digits)
    if len(digits) != count * (2 * MAX_AMOUNT_DIGITS + 1) - 1:
        raise CorruptDataError(f"a stored cost does not have {MAX_AMOUNT_DIGITS} digits on each side of a point")
    return Decimal(f"{sum(map(int, digits.split(',')))}E-{MAX_AMOUNT_DIGITS}")


def sum_of_amounts(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """See `Dialect.sum_of_amounts`."""
    return sa.func.group_concat(sa.type_coerce(column, sa.Text), type_=_SummedAmounts())


def joined(numbers: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """See `Dialect.joined`."""
    return sa.func.group_concat(numbers, type_=sa.Text())


def microseconds_between(start: sa.ColumnElement[Any], end: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """See `Dialect.microseconds_between`."""
    return sa.type_coerce(end, sa.BigInteger) - sa.type_coerce(start, sa.BigInteger)


_MICROSECONDS: dict[str, sa.ColumnElement[int]] = {
    "day": sa.literal_column(str(24 * 3600 * 10**6)),
    "hour": sa.literal_column(str(3600 * 10**6)),
}


def start_of(instant: sa.ColumnElement[Any], unit: str) -> sa.ColumnElement[Any]:
    """See `Dialect.start_of`; before 1970, SQLite's remainders are negative."""
    count, length = sa.type_coerce(instant, sa.BigInteger), _MICROSECONDS[unit]
    return sa.type_coerce(count - (count % length + length) % length, instant.type)
