"""SQLite's dialect: its error codes, and its SQL, which `_expressions` builds."""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, Operator, dumps
from aaow_storage.errors import (
    CorruptDataError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    ValidationError,
)
from aaow_storage_sql import Dialect, FeedOrder, LateModule
from aaow_storage_sqlite._index_paths import is_indexable

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aaow_storage_sql import CompiledStatement, Parameters
    from aaow_storage_sqlite import _expressions as expressions
else:
    expressions = LateModule(f"{__package__}._expressions")

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_UNREADABLE = ("Could not decode to UTF-8", "malformed JSON", "user-defined function raised exception")
_NO_SUCH_SCHEMA = (
    "no such table",
    "no such column",
    "no such index",
    "has no column named",
    "foreign key mismatch",
    "ON CONFLICT clause does not match",
    "because it is a view",
    "may not be modified",
    "may not be indexed",
    "is not a function",
    "no such collation sequence",
    "no such module",
    "unsupported file format",
)
"""Texts of errors that mean that the schema is not what the migrations create; SQLite has no code for that."""
_OTHER_RULES = {sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_NOTNULL}
"""Codes of errors that a row breaks a rule of its table, which records of this release keep."""
_MIN_TOO_LONG_CHARS = 2**28
"""Fewest characters of a value that is too long for SQLite; a character takes at most four bytes."""
_TRANSIENT = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def primary_code(error: BaseException | None) -> int | None:
    """Return the primary result code of a driver's exception, None if it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_locked(error: BaseException) -> bool:
    """Return whether an error, or the driver's error that caused it, means that another connection holds a lock."""
    return primary_code(error) in _LOCKED or primary_code(error.__cause__) in _LOCKED


def is_too_large(error: BaseException) -> bool:
    """Return whether the driver's exception that caused an error means that a value exceeds the connection's limit."""
    return primary_code(error.__cause__) == sqlite3.SQLITE_TOOBIG


def may_be_of_schema(error: Exception) -> bool:
    """Return whether the driver's exception may mean that the schema is not the one that the statement is for."""
    return getattr(error, "sqlite_errorcode", None) in _OTHER_RULES or any(
        text in str(error) for text in _NO_SUCH_SCHEMA
    )


class SQLiteDialect(Dialect):
    """The dialect of one store, which `location` names in errors."""

    driver_error: ClassVar[type[Exception]] = sqlite3.Error
    has_statement_rollback: ClassVar[bool] = True
    has_one_writer: ClassVar[bool] = True
    orders_changes: ClassVar[FeedOrder] = FeedOrder.POSITION
    list_schema: ClassVar[str | None] = (
        "SELECT json_group_array(sql) FROM (SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid)"
    )
    sorts_to_group: ClassVar[bool] = True

    def __init__(self, location: str) -> None:
        self.location = location

    @property
    def sqlalchemy_dialect(self) -> "sa.Dialect":  # type: ignore[override]  # a property, so that it comes late
        return expressions.DIALECT

    @staticmethod
    def replaces(may_replace: "sa.ColumnElement[Any]", differs: "sa.ColumnElement[Any]") -> "sa.ColumnElement[bool]":
        return expressions.replaces(may_replace, differs)

    @staticmethod
    def insert(table: "sa.Table") -> Any:
        return expressions.insert(table)

    def compile(self, statement: Any) -> "CompiledStatement":
        self.compile = expressions.compile  # type: ignore[assignment,method-assign]  # the first call imports, and is replaced
        return self.compile(statement)

    def translate(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        what = f"{self.location}: {error} ({name})"
        code = primary_code(error)
        if code in _CORRUPT or str(error).startswith(_UNREADABLE):
            return CorruptDataError(what)
        if code == sqlite3.SQLITE_ERROR and any(text in what for text in _NO_SUCH_SCHEMA):
            return CorruptDataError(f"{what}: the schema is not what initialize() creates; restore a backup")
        if code == sqlite3.SQLITE_TOOBIG or isinstance(error, sqlite3.DataError):
            if any(isinstance(value, str | bytes) and len(value) >= _MIN_TOO_LONG_CHARS for value in values):
                return ValidationError("sqlite", "value", f"is larger than SQLite can store: {error}")
            return CorruptDataError(what)
        if code in _LOCKED:
            return StoreBusyError(what)
        return StorageUnavailableError(what) if code in _TRANSIENT else StorageError(what)

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        if isinstance(error, UnicodeDecodeError):  # of a message of SQLite that quotes the bytes of a damaged file
            return CorruptDataError(f"{self.location}: {error.object.decode(errors='backslashreplace')}")
        return super().to_storage_error(error, values)

    def is_in_transaction(self, driver_connection: Any) -> bool:
        try:
            return bool(driver_connection.in_transaction)
        except sqlite3.ProgrammingError:  # it is closed
            return False

    def is_foreign_key_violation(self, error: StorageError) -> bool:
        return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY

    def position(self, text: "sa.ColumnElement[Any]", part: "sa.ColumnElement[Any]") -> "sa.ColumnElement[int]":
        return expressions.position(text, part)

    def sum_of_amounts(self, column: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
        return expressions.sum_of_amounts(column)

    def joined(self, numbers: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
        return expressions.joined(numbers)

    def microseconds_between(
        self, start: "sa.ColumnElement[Any]", end: "sa.ColumnElement[Any]"
    ) -> "sa.ColumnElement[Any]":
        return expressions.microseconds_between(start, end)

    def start_of(self, instant: "sa.ColumnElement[Any]", unit: str) -> "sa.ColumnElement[Any]":
        return expressions.start_of(instant, unit)

    def is_integer_overflow(self, error: StorageError) -> bool:
        return "integer overflow" in str(error.__cause__)

    def is_in_list(
        self, compared: "sa.ColumnElement[Any]", parameter: str, kind: FieldKind
    ) -> "sa.ColumnElement[bool]":
        return expressions.is_in_list(compared, parameter, kind)

    def listed(self, parameter: str) -> "sa.FromClause":
        return expressions.listed(parameter)

    def sort_expression(self, expression: "sa.ColumnElement[Any]", direction: Direction) -> "sa.ColumnElement[Any]":
        return expression.asc() if direction is Direction.ASCENDING else expression.desc()

    def json_condition(
        self, column: "sa.ColumnElement[Any]", condition: Condition, parameter: str
    ) -> "sa.ColumnElement[bool]":
        return expressions.json_condition(column, condition, parameter)

    def json_operand_shape(self, condition: Condition) -> bool:
        return is_indexable(condition)

    def json_parameters(self, condition: Condition, parameter: str) -> "Parameters":
        operand = condition.operand
        return {parameter: dumps(list(operand) if condition.operator is Operator.IN else operand)}

    def json_sort_value(self, column: "sa.ColumnElement[Any]", path: tuple[str, ...]) -> "sa.ColumnElement[Any]":
        return expressions.json_sort_value(column, path)

    def json_cursor(self, value: Any) -> Any:
        return dumps(value)
