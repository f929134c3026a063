"""The SQL of PostgreSQL that differs from other databases."""

import functools
from collections.abc import Callable, Hashable
from typing import Any, ClassVar

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, Operator, dumps
from aaow_storage_postgresql._errors import ERRORS
from aaow_storage_postgresql._json import as_jsonb, json_at, json_text, sort_key
from aaow_storage_sql import (
    CompiledStatement,
    FeedOrder,
    NativeType,
    Parameters,
    ServerDialect,
    make_compiler,
)

_INDEXED = {("sessions", "metadata"), ("workflows", "metadata")}


def try_advisory_lock(number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Return the condition that takes an advisory lock for the transaction; it is false if another one holds it."""
    return sa.func.pg_try_advisory_xact_lock(number, type_=sa.Boolean)


class PostgreSQLDialect(ServerDialect):
    """The dialect of PostgreSQL. `place` names the database in errors; `schema` holds the tables."""

    sqlalchemy_dialect = psycopg_dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # of SQLAlchemy
    driver_error: ClassVar[type[Exception]] = psycopg.Error
    errors = ERRORS
    insert = staticmethod(insert)
    has_statements_that_insert_into_two_tables: ClassVar[bool] = True
    has_statement_rollback: ClassVar[bool] = False
    orders_changes: ClassVar[FeedOrder] = FeedOrder.TRANSACTION
    try_advisory_lock = staticmethod(try_advisory_lock)

    def __init__(self, place: str, schema: str | None) -> None:
        self.place = place
        self.schema = schema
        self.compile = _compiler_of(schema)

    def is_in_transaction(self, driver_connection: Any) -> bool:
        return driver_connection.info.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}

    def for_update(self, statement: Any) -> Any:
        return _for_update(statement)

    def for_key_share(self, statement: Any) -> Any:
        return _for_key_share(statement)

    def position(self, text: sa.ColumnElement[Any], part: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.func.strpos(text, part)

    def sum_of_amounts(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.sum(column, type_=column.type)

    def joined(self, numbers: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.string_agg(sa.cast(numbers, sa.Text), sa.literal_column("','"), type_=sa.Text())

    def length_of_array(self, text: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.func.json_array_length(sa.cast(text, sa.JSON))

    def microseconds_between(self, start: sa.ColumnElement[Any], end: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        seconds = sa.extract("epoch", end - start)
        return sa.cast(seconds.op("*")(sa.literal_column("1000000")), sa.BigInteger)

    def start_of(self, instant: sa.ColumnElement[Any], unit: str) -> sa.ColumnElement[Any]:
        named: sa.ColumnElement[str] = sa.literal_column(f"'{unit}'")
        zone: sa.ColumnElement[str] = sa.literal_column("'UTC'")
        return sa.func.date_trunc(named, instant, zone, type_=instant.type)

    def is_in_list(self, compared: sa.ColumnElement[Any], parameter: str, kind: FieldKind) -> sa.ColumnElement[bool]:
        return compared == sa.any_(sa.bindparam(parameter, type_=_ARRAYS[kind]))

    def listed(self, parameter: str) -> sa.FromClause:
        values = sa.bindparam(parameter, type_=_ARRAYS[FieldKind.TEXT])
        return sa.func.unnest(values).table_valued(sa.column("value", sa.Text)).render_derived()

    def sort_expression(self, expression: sa.ColumnElement[Any], direction: Direction) -> sa.ColumnElement[Any]:
        is_ascending = direction is Direction.ASCENDING
        ordered = expression.asc() if is_ascending else expression.desc()
        if isinstance(expression, sa.Column) and not expression.nullable:
            return ordered  # an index serves ORDER BY only if both say the same of NULLs
        return ordered.nulls_first() if is_ascending else ordered.nulls_last()

    def json_condition(
        self, column: sa.ColumnElement[Any], condition: Condition, parameter: str
    ) -> sa.ColumnElement[bool]:
        document = self._json(sa.type_coerce(column, sa.Text))
        value = json_at(document, condition.field.path)
        text = value.op("#>>", return_type=sa.Text())(_ITSELF)
        match condition.operator:
            case Operator.EQ if condition.operand == "null":
                return sa.func.coalesce(value == _NULL, sa.true())
            case Operator.EQ:
                same = value == self._json(sa.bindparam(parameter, type_=sa.Text))
                if condition.negated:
                    return sa.func.coalesce(same, sa.false())
                return sa.and_(*self._index_condition(column, document, parameter), same)
            case Operator.IN:
                listed = self._json(sa.bindparam(parameter, type_=sa.Text))
                is_listed = sa.func.coalesce(
                    listed.op("@>", return_type=sa.Boolean())(sa.func.jsonb_build_array(value)), sa.false()
                )
                return (
                    sa.or_(is_listed, sa.func.coalesce(value == _NULL, sa.true())) if condition.operand else is_listed
                )
            case Operator.CONTAINS:
                holds = self.position(text, sa.bindparam(parameter, type_=sa.Text)) > 0
                return _if_json_type("string", value, holds)
            case Operator.STARTS_WITH:
                return _if_json_type("string", value, sa.func.starts_with(text, sa.bindparam(parameter, type_=sa.Text)))
        compared: sa.ColumnElement[Any] = sa.collate(text, "C")
        operand: sa.ColumnElement[Any] = sa.bindparam(parameter, type_=sa.Text)
        if condition.operand == "number":
            compared, operand = sa.cast(value, sa.Numeric), sa.cast(operand, sa.Numeric)
        return _if_json_type(str(condition.operand), value, _COMPARE[condition.operator](compared, operand))

    def json_operand_shape(self, condition: Condition) -> Hashable:
        operand = condition.operand
        match condition.operator:
            case Operator.EQ:
                return "null" if operand is None else "value"
            case Operator.IN:
                return None in operand
        return "string" if isinstance(operand, str) else "number"

    def json_parameters(self, condition: Condition, parameter: str) -> Parameters:
        operand = condition.operand
        match condition.operator:
            case Operator.EQ:
                return {parameter: dumps(operand), parameter + _PART: _document_with(operand, condition.field.path)}
            case Operator.IN:
                return {parameter: dumps([value for value in operand if value is not None])}
        return {parameter: json_text(operand) if isinstance(operand, str) else dumps(operand)}

    def json_sort_value(self, column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any]:
        return sort_key(self.schema, json_at(self._json(sa.type_coerce(column, sa.Text)), path))

    def json_cursor(self, value: Any) -> Any:
        return dumps(value)

    def _json(self, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return as_jsonb(self.schema, text)

    def _index_condition(
        self, column: sa.ColumnElement[Any], document: sa.ColumnElement[Any], parameter: str
    ) -> list[sa.ColumnElement[bool]]:
        """Return a weaker condition on the whole document, which the GIN index serves, if the column has one."""
        if not isinstance(column, sa.Column) or (column.table.name, column.name) not in _INDEXED:
            return []
        part = self._json(sa.bindparam(parameter + _PART, type_=sa.Text))
        return [document.op("@>", return_type=sa.Boolean())(part)]


_PART = "_part"
_ARRAYS = {
    FieldKind.TEXT: NativeType("TEXT[]"),
    FieldKind.ENUM: NativeType("TEXT[]"),
    FieldKind.INSTANT: NativeType("TIMESTAMPTZ[]"),
    FieldKind.NUMBER: NativeType("DOUBLE PRECISION[]"),
    FieldKind.COUNT: NativeType("BIGINT[]"),
    FieldKind.AMOUNT: NativeType("NUMERIC[]"),
    FieldKind.BOOL: NativeType("BOOLEAN[]"),
}


def _document_with(value: Any, path: tuple[str, ...]) -> str:
    """Return the text of a document that holds the value at that path, and nothing else."""
    return "".join(f"{{{dumps(key)}:" for key in path) + dumps(value) + "}" * len(path)


_NULL: sa.ColumnElement[Any] = sa.literal_column("'null'::jsonb", JSONB())
_ITSELF: sa.ColumnElement[Any] = sa.literal_column("'{}'::text[]", sa.ARRAY(sa.Text))
_COMPARE: dict[Operator, Any] = {
    Operator.LT: lambda one, other: one < other,
    Operator.LE: lambda one, other: one <= other,
    Operator.GT: lambda one, other: one > other,
    Operator.GE: lambda one, other: one >= other,
}


def _if_json_type(kind: str, value: sa.ColumnElement[Any], holds: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition for values of that JSON type, false for others: so no value is cast to a wrong type."""
    of_kind = sa.func.jsonb_typeof(value) == sa.literal_column(f"'{kind}'")
    return sa.case((of_kind, holds), else_=sa.false())


@functools.cache
def _compiler_of(schema: str | None) -> Callable[[Any], CompiledStatement]:
    return make_compiler(PostgreSQLDialect.sqlalchemy_dialect, schema)


@functools.lru_cache(maxsize=1000)
def _for_update(statement: sa.Select[Any]) -> sa.Select[Any]:
    """Return the select with FOR NO KEY UPDATE on its tables, in their order, but not on those of an outer join."""
    return statement.with_for_update(key_share=True, of=_locked(statement.get_final_froms()[0]))


def _locked(table: Any) -> list[Any]:
    if not isinstance(table, sa.Join):
        return [table]
    return [*_locked(table.left), *([] if table.isouter else _locked(table.right))]


@functools.lru_cache(maxsize=100)
def _for_key_share(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.with_for_update(read=True, key_share=True, skip_locked=True)
