"""The few things that a database does in its own way, each on the one page of its dialect."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, unforeseen
from aaow_storage.errors import StorageError
from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters


class Dialect(ABC):
    """What statements and connections need to know of a database."""

    sqlalchemy_dialect: ClassVar[sa.Dialect]
    """Compiles the statements; positional parameters."""
    driver_error: ClassVar[type[Exception]]
    """The root of the driver's exceptions."""
    insert: Callable[[sa.Table], Any]
    """Begins an insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    has_statement_rollback: ClassVar[bool]
    """Whether a statement that fails inside a transaction undoes itself, and leaves the transaction as it was."""
    try_advisory_lock: Callable[[sa.ColumnElement[int]], sa.ColumnElement[bool]] | None = None
    """Makes the condition that no other open transaction claims a number, which claims it until this one ends.

    It never waits. None where one transaction writes at a time.
    """
    compile: Callable[[Any], CompiledStatement]
    """Compiles a statement once; see `make_compiler`."""
    schema: str | None = None
    """The schema that statements name their tables in, or None for none."""

    @abstractmethod
    def translate(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the error of storage that a driver's exception means: the one place where that is decided.

        The values are those that were bound to the statement that failed.
        """

    def to_storage_error(self, error: Exception, values: Sequence[Any] = ()) -> StorageError:
        """Return the error of storage for any exception: the driver's, be it wrapped by SQLAlchemy, or another."""
        if isinstance(error, StorageError):
            return error
        if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, self.driver_error):
            made = self.translate(error.orig, values)
            made.__cause__ = error.orig
            return made
        return self.translate(error, values) if isinstance(error, self.driver_error) else unforeseen(error)

    @abstractmethod
    def is_in_transaction(self, driver_connection: Any) -> bool:
        """Say whether a transaction is open on the driver's connection, be it one that can only be rolled back."""

    def aborts_transaction(self, error: BaseException) -> bool:
        """Say whether an error leaves nothing but to roll the whole transaction back."""
        del error
        return False

    def is_foreign_key_violation(self, error: StorageError) -> bool:
        """Say whether a statement failed, and undid itself, because a row that it refers to is not there."""
        del error
        return False

    def for_update(self, statement: Any) -> Any:
        """Return the select of rows that are about to be changed, which keeps others from changing them before."""
        return statement

    def for_key_share(self, statement: Any) -> Any:
        """Return the select of rows that are about to be referred to, which keeps others from deleting them before.

        It finds no row that another open transaction deletes.
        """
        return statement

    def position(self, text: sa.ColumnElement[Any], part: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """Return the expression for where a text holds another first, from 1; 0 where it does not."""
        return sa.func.instr(text, part)

    @abstractmethod
    def comparable_amount(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return a column of amounts as an expression that compares and sorts by value."""

    @abstractmethod
    def is_in_list(self, compared: sa.ColumnElement[Any], parameter: str, kind: FieldKind) -> sa.ColumnElement[bool]:
        """Return the condition that a field is one of many values, none of them null, bound as one list."""

    @abstractmethod
    def sort_expression(self, expression: sa.ColumnElement[Any], direction: Direction) -> sa.ColumnElement[Any]:
        """Return the expression for ORDER BY, with NULL before every value ascending."""

    @abstractmethod
    def json_condition(
        self, column: sa.ColumnElement[Any], condition: Condition, parameter: str
    ) -> sa.ColumnElement[bool]:
        """Return the condition on what lies at its path in a JSON column, without its negation; it is never NULL.

        What is bound is what `json_parameters` returns; in the operand's place, the condition has its shape.
        """

    @abstractmethod
    def json_operand_shape(self, condition: Condition) -> Hashable:
        """Return what `json_condition` needs to know of the operand, so that few statements differ."""

    @abstractmethod
    def json_parameters(self, condition: Condition, parameter: str) -> Parameters:
        """Return the values to bind for a condition on JSON: `parameter`, and others whose names begin with it."""

    @abstractmethod
    def json_sort_value(self, column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any]:
        """Return an expression that sorts and compares what lies at a path in a JSON column, or is NULL."""

    @abstractmethod
    def json_cursor(self, value: Any) -> Any:
        """Return the value to bind for a comparison with `json_sort_value`; not called for None."""
