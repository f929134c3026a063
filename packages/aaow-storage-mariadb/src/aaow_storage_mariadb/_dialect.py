"""The SQL of MariaDB that differs from other databases."""

import functools
import re
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import mariadb

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, Operator, dumps
from aaow_storage_mariadb._inserts import insert
from aaow_storage_mariadb._lists import listed_as
from aaow_storage_mariadb._page_index import with_page_index
from aaow_storage_sql import FeedOrder, Parameters, ServerDialect, make_compiler

_MICROSECONDS = {"hour": 3_600_000_000, "day": 86_400_000_000}
_PLAIN_KEY = re.compile("[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLAIN_TEXT = re.compile(r"[ !#-\[\]-~]*", re.ASCII)
"""Texts that are the same in every JSON document: without quotes, backslashes and what may be escaped."""
_MAX_PLAIN_NUMBER = 2**53


def _sqlalchemy_dialect() -> sa.Dialect:
    made = mariadb.loader("pymysql")(paramstyle="format")
    made.server_version_info = (10, 6)
    return made


class MariaDBDialect(ServerDialect):
    """The dialect of MariaDB, but for the errors of the driver. `place` names the database in errors."""

    sqlalchemy_dialect = _sqlalchemy_dialect()
    insert = staticmethod(insert)
    upserts_where: ClassVar[bool] = False
    compared_here: ClassVar[frozenset[FieldKind]] = frozenset({FieldKind.JSON})
    has_statement_rollback: ClassVar[bool] = True
    ddl_commits: ClassVar[bool] = True
    list_tables: ClassVar[str] = (
        "SELECT JSON_ARRAYAGG(LOWER(TABLE_NAME)) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
    )
    clock: ClassVar[str] = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"
    records_changes: ClassVar[bool] = False
    orders_changes: ClassVar[FeedOrder] = FeedOrder.NUMBERED
    compile = staticmethod(make_compiler(sqlalchemy_dialect))

    def __init__(self, place: str) -> None:
        self.place = place

    def is_in_transaction(self, driver_connection: Any) -> bool:
        is_open: bool = driver_connection.is_in_transaction
        return is_open

    @staticmethod
    def run_at_once(text: str) -> str:
        return f"SET STATEMENT innodb_lock_wait_timeout=0 FOR {text}"

    def for_update(self, statement: Any) -> Any:
        return _for_update(statement)

    def for_update_at_once(self, statement: Any) -> Any:
        return _for_update_at_once(statement)

    def for_key_share(self, statement: Any) -> Any:
        return _for_key_share(statement)

    def position(self, text: sa.ColumnElement[Any], part: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.func.instr(text, part)

    def sum_of_amounts(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.sum(column, type_=column.type)

    def joined(self, numbers: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.group_concat(numbers, type_=sa.Text())

    def length_of_array(self, text: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.func.json_length(text)

    def microseconds_between(self, start: sa.ColumnElement[Any], end: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.type_coerce(end, sa.BigInteger) - sa.type_coerce(start, sa.BigInteger)

    def start_of(self, instant: sa.ColumnElement[Any], unit: str) -> sa.ColumnElement[Any]:
        length: sa.ColumnElement[int] = sa.literal_column(str(_MICROSECONDS[unit]))
        microseconds = sa.type_coerce(instant, sa.BigInteger)
        since_start = (microseconds % length + length) % length  # a remainder is negative before 1970
        return sa.type_coerce(microseconds - since_start, instant.type)

    def is_in_list(self, compared: sa.ColumnElement[Any], parameter: str, kind: FieldKind) -> sa.ColumnElement[bool]:
        return compared.in_(sa.select(listed_as(kind, parameter, compared.type).c.value))

    def listed(self, parameter: str) -> sa.FromClause:
        return listed_as(FieldKind.TEXT, parameter, sa.Text())

    def sort_expression(self, expression: sa.ColumnElement[Any], direction: Direction) -> sa.ColumnElement[Any]:
        return expression.asc() if direction is Direction.ASCENDING else expression.desc()

    def sorts_whole(self, expression: sa.ColumnElement[Any]) -> bool:
        """Say so of all but long texts: of those, MariaDB sorts by the first 1,024 bytes."""
        return not isinstance(expression.type, sa.Text)

    def page_after(self, statement: sa.Select[Any], keys: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
        return with_page_index(statement, keys)

    def narrows(self, condition: Condition) -> bool:
        operand = condition.operand
        if condition.operator is not Operator.EQ or not all(map(_PLAIN_KEY.fullmatch, condition.field.path)):
            return False
        if isinstance(operand, str):
            return _PLAIN_TEXT.fullmatch(operand) is not None
        return type(operand) is int and abs(operand) < _MAX_PLAIN_NUMBER

    def json_condition(
        self, column: sa.ColumnElement[Any], condition: Condition, parameter: str
    ) -> sa.ColumnElement[bool]:
        """Return a condition that holds for every document with the value, and for those that MariaDB cannot read.

        It cannot read one with 32 levels: its functions return NULL.
        """
        document = sa.type_coerce(column, sa.Text)
        path: sa.ColumnElement[str] = sa.literal_column("'$" + "".join(f".{key}" for key in condition.field.path) + "'")
        is_same = sa.func.json_equals(sa.func.json_extract(document, path), sa.bindparam(parameter, type_=sa.Text))
        zero: sa.ColumnElement[int] = sa.literal_column("0")
        is_unread = sa.func.coalesce(sa.func.json_valid(document), zero) == zero
        return sa.and_(document.is_not(None), sa.func.coalesce(is_same, is_unread))

    def json_operand_shape(self, condition: Condition) -> Hashable:
        del condition
        return None

    def json_parameters(self, condition: Condition, parameter: str) -> Parameters:
        return {parameter: dumps(condition.operand)}

    def json_sort_value(self, column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any]:
        raise NotImplementedError("values in JSON are compared in Python")

    def json_cursor(self, value: Any) -> Any:
        raise NotImplementedError("values in JSON are compared in Python")


@functools.lru_cache(maxsize=1000)
def _for_update(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.with_for_update()


@functools.lru_cache(maxsize=100)
def _for_update_at_once(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.with_for_update(skip_locked=True)


@functools.lru_cache(maxsize=100)
def _for_key_share(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.with_for_update(read=True, skip_locked=True)
