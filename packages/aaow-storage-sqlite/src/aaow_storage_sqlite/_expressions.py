"""SQL that only SQLite has, and the functions that this backend adds, as expressions of SQLAlchemy."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.dialects.sqlite import insert

from aaow_storage.authoring import Condition, FieldKind, dumps
from aaow_storage_sql import make_compiler
from aaow_storage_sqlite._arrays import JSONArray
from aaow_storage_sqlite._functions import JSON_COLLATION
from aaow_storage_sqlite._json_paths import json_value

__all__ = [
    "DIALECT",
    "compile",
    "insert",
    "is_in_list",
    "json_condition",
    "json_sort_value",
    "listed",
    "position",
]

DIALECT: sa.Dialect = sqlite_dialect(paramstyle="qmark")
compile = make_compiler(DIALECT)  # noqa: A001 - the name of the dialect's method


def position(text: sa.ColumnElement[Any], part: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """See `Dialect.position`."""
    return sa.func.instr(text, part)


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
