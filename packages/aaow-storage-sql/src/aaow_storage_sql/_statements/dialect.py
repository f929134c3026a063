"""What differs between databases: each has one subclass of `Dialect`.

The module needs no SQLAlchemy, so that a store can be opened, and errors translated, before a statement is built.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, unforeseen
from aaow_storage.errors import StorageError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters


class Dialect(ABC):
    """The differences that statements and connections depend on."""

    sqlalchemy_dialect: "sa.Dialect"
    """Compiles the statements, with positional parameters."""
    driver_error: ClassVar[type[Exception]]
    """The base class of the driver's exceptions."""
    insert: "Callable[[sa.Table], Any]"
    """Makes an INSERT that has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    has_statements_that_insert_into_two_tables: ClassVar[bool] = False
    """Whether a WITH may insert rows."""
    has_statement_rollback: ClassVar[bool]
    """Whether a statement that fails inside a transaction is rolled back alone, and the transaction goes on."""
    sorts_to_group: ClassVar[bool] = False
    """Whether GROUP BY sorts all rows, so that many rows are grouped faster if they come in several statements."""
    try_advisory_lock: "Callable[[sa.ColumnElement[int]], sa.ColumnElement[bool]] | None" = None
    """Makes the condition that takes an advisory lock on a number until the transaction ends; False if another has it.

    It never waits. None for a database in which one transaction writes at a time.
    """
    replaces: "Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.ColumnElement[bool]] | None" = None
    """Makes the condition of an upsert to replace a row, and counts in `SQLConnection.replaced` what became of it.

    It takes whether the row may be replaced, and whether the new one differs. None for a database that records what
    its statements change.
    """
    list_schema: ClassVar[str | None] = None
    """The query for the statements that make the tables and indexes of a store, as one JSON array; None for no such."""
    compile: "Callable[[Any], CompiledStatement]"
    """Compiles a statement and caches it; see `make_compiler`."""
    schema: str | None = None
    """The schema that qualifies the tables in statements, or None."""

    @property
    def has_one_writer(self) -> bool:
        """Whether one transaction writes at a time."""
        return self.try_advisory_lock is None

    @abstractmethod
    def translate(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the storage error for an exception of the driver. No other code makes this decision.

        The values are those that were bound to the failed statement.
        """

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the storage error for any exception; one of the driver may be wrapped by SQLAlchemy."""
        if isinstance(error, StorageError):
            return error
        wrapped = getattr(error, "orig", None)
        if isinstance(wrapped, self.driver_error):
            made = self.translate(wrapped, values)
            made.__cause__ = wrapped
            return made
        return self.translate(error, values) if isinstance(error, self.driver_error) else unforeseen(error)

    @abstractmethod
    def is_in_transaction(self, driver_connection: Any) -> bool:
        """Say whether a transaction is open, including one that can only be rolled back."""

    def aborts_transaction(self, error: BaseException) -> bool:
        """Say whether an error forces a rollback of the whole transaction."""
        del error
        return False

    def is_foreign_key_violation(self, error: StorageError) -> bool:
        """Say whether a statement failed, and was rolled back alone, because a row that it refers to is missing."""
        del error
        return False

    def for_update(self, statement: Any) -> Any:
        """Return the SELECT with a lock on its rows, which are about to be changed: FOR UPDATE."""
        return statement

    def for_key_share(self, statement: Any) -> Any:
        """Return the SELECT with a lock that keeps its rows from being deleted: FOR KEY SHARE SKIP LOCKED.

        It finds no row that another open transaction deletes.
        """
        return statement

    @abstractmethod
    def position(self, text: "sa.ColumnElement[Any]", part: "sa.ColumnElement[Any]") -> "sa.ColumnElement[int]":
        """Return the expression for the first position of a part in a text, from 1; 0 if the text has no such part."""

    @abstractmethod
    def sum_of_amounts(self, column: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
        """Return the aggregate that is the exact sum of a column of amounts, as a Decimal; NULL if there is none."""

    @abstractmethod
    def joined(self, numbers: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
        """Return the aggregate of whole numbers that is a text with all of them between commas; NULL if none."""

    @abstractmethod
    def microseconds_between(
        self, start: "sa.ColumnElement[Any]", end: "sa.ColumnElement[Any]"
    ) -> "sa.ColumnElement[Any]":
        """Return the expression for the number of microseconds from one instant to another."""

    @abstractmethod
    def start_of(self, instant: "sa.ColumnElement[Any]", unit: str) -> "sa.ColumnElement[Any]":
        """Return the expression for the instant at which the `day` or `hour` of an instant begins in UTC."""

    def is_integer_overflow(self, error: StorageError) -> bool:
        """Say whether a statement failed because a sum of integers is too large for an integer of the database."""
        del error
        return False

    @abstractmethod
    def is_in_list(
        self, compared: "sa.ColumnElement[Any]", parameter: str, kind: FieldKind
    ) -> "sa.ColumnElement[bool]":
        """Return the condition that a field is one of many values, none of them null, bound as one parameter."""

    @abstractmethod
    def listed(self, parameter: str) -> "sa.FromClause":
        """Return a table of texts that are bound as one parameter, a list, in the column `value`."""

    @abstractmethod
    def sort_expression(self, expression: "sa.ColumnElement[Any]", direction: Direction) -> "sa.ColumnElement[Any]":
        """Return the expression for ORDER BY; NULL comes before every value in ascending order."""

    @abstractmethod
    def json_condition(
        self, column: "sa.ColumnElement[Any]", condition: Condition, parameter: str
    ) -> "sa.ColumnElement[bool]":
        """Return the condition on the value at a path in a JSON column, without its negation; it is never NULL.

        The condition has the shape of its operand in the place of the operand; `json_parameters` makes the parameters.
        """

    @abstractmethod
    def json_operand_shape(self, condition: Condition) -> Hashable:
        """Return the part of the operand that changes the text of the condition; equal shapes share a statement."""

    @abstractmethod
    def json_parameters(self, condition: Condition, parameter: str) -> "Parameters":
        """Return the parameters of a condition on JSON: `parameter`, and others whose names begin with it."""

    @abstractmethod
    def json_sort_value(self, column: "sa.ColumnElement[Any]", path: tuple[str, ...]) -> "sa.ColumnElement[Any]":
        """Return the expression that sorts and compares the value at a path in a JSON column; NULL if there is none."""

    @abstractmethod
    def json_cursor(self, value: Any) -> Any:
        """Return the parameter for a keyset cursor on `json_sort_value`; not called for None."""
