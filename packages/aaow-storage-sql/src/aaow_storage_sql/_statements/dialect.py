"""What differs between databases: each has one subclass of `Dialect`.

The module needs no SQLAlchemy, so that a store can be opened, and errors translated, before a statement is built.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from aaow_storage import Direction
from aaow_storage.authoring import Condition, FieldKind, unforeseen
from aaow_storage.errors import StorageError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters


class FeedOrder(Enum):
    """What the order of the change feed comes from."""

    POSITION = "one transaction writes at a time, and rows are numbered in the order of commits"
    TRANSACTION = "rows are ordered by the transaction, and read once all that began to write before have ended"
    NUMBERED = "rows are numbered once they are committed, before they are read"


class Dialect(ABC):
    """The differences that statements and connections depend on."""

    sqlalchemy_dialect: "sa.Dialect"
    """Compiles the statements, with positional parameters."""
    driver_error: ClassVar[type[Exception]]
    """The base class of the driver's exceptions."""
    insert: "Callable[[sa.Table], Any]"
    """Makes an INSERT that has `on_conflict_do_update` and `on_conflict_do_nothing`."""
    upserts_where: ClassVar[bool] = True
    """Whether the `where` of `on_conflict_do_update` is obeyed. If not, an upsert replaces foreign keys, too, and the
    number of rows that it changed says what it did: 1 if it inserted the row, 2 if it replaced it, 0 if the row was the
    same. So the driver must count changed rows, not found ones."""
    compared_here: ClassVar[frozenset[FieldKind]] = frozenset()
    """The kinds of fields that the database cannot compare and sort as the contract says; `FieldKind.JSON` may be one.

    Conditions and orders of such fields are worked out in Python, over the rows that meet the other conditions. Then
    `json_condition` may return a weaker condition, which holds for all rows that meet the exact one, and
    `json_sort_value` is not called."""
    has_one_writer: ClassVar[bool] = False
    """Whether one transaction writes at a time."""
    orders_changes: "ClassVar[FeedOrder]"
    """What the order of the change feed comes from."""
    has_statements_that_insert_into_two_tables: ClassVar[bool] = False
    """Whether a WITH may insert rows."""
    has_statement_rollback: ClassVar[bool]
    """Whether a statement that fails inside a transaction is rolled back alone, and the transaction goes on."""
    sorts_to_group: ClassVar[bool] = False
    """Whether GROUP BY sorts all rows, so that many rows are grouped faster if they come in several statements."""
    try_advisory_lock: "Callable[[sa.ColumnElement[int]], sa.ColumnElement[bool]] | None" = None
    """Makes the condition that takes an advisory lock on a number until the transaction ends; False if another has it.

    It never waits. None for a database that has no such locks.
    """
    run_at_once: "Callable[[str], str] | None" = None
    """Makes, of the text of a statement, that of one that fails instead of waiting for a lock: then `is_lock_timeout`
    holds for its error. None for a database in which one transaction writes at a time, or that has advisory locks."""
    replaces: "Callable[[sa.ColumnElement[Any], sa.ColumnElement[Any]], sa.ColumnElement[bool]] | None" = None
    """Makes the condition of an upsert to replace a row, and counts in `SQLConnection.replaced` what became of it.

    It takes whether the row may be replaced, and whether the new one differs. None for a database that records what
    its statements change.
    """
    list_schema: ClassVar[str | None] = None
    """The query for the statements that make the tables and indexes of a store, as one JSON array; None for no such."""
    ddl_commits: ClassVar[bool] = False
    """Whether a statement that changes the schema commits the open transaction. If so, a store is made and upgraded by
    `upgrade_in_steps`, which needs `list_tables` and `clock`."""
    list_tables: ClassVar[str]
    """The query for the names of the tables and views of a store in lower case, as one JSON array."""
    clock: ClassVar[str]
    """The expression for the time of the server, as the whole number of microseconds since 1970."""
    compile: "Callable[[Any], CompiledStatement]"
    """Compiles a statement and caches it; see `make_compiler`."""
    schema: str | None = None
    """The schema that qualifies the tables in statements, or None."""

    def __eq__(self, other: object) -> bool:
        """Compare what the text of statements depends on, so that stores share those that are compiled."""
        return type(other) is type(self) and isinstance(other, Dialect) and other.schema == self.schema

    def __hash__(self) -> int:
        return hash((type(self), self.schema))

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
        """Say whether a transaction is open, including one that can only be rolled back.

        It is asked after errors too. A driver that learns the state from answers alone may miss that an error ended it.
        """

    def aborts_transaction(self, error: BaseException) -> bool:
        """Say whether an error ended the whole transaction, or forces its rollback, whatever statement it came from.

        Such an error is a deadlock, even in a database that undoes other failed statements alone.
        """
        del error
        return False

    def is_foreign_key_violation(self, error: StorageError) -> bool:
        """Say whether a statement failed, and was rolled back alone, because a row that it refers to is missing."""
        del error
        return False

    def is_lock_timeout(self, error: StorageError) -> bool:
        """Say whether a statement failed, and was rolled back alone, because it would have waited for a lock."""
        del error
        return False

    def for_update(self, statement: Any) -> Any:
        """Return the SELECT with a lock on its rows, which are about to be changed: FOR UPDATE."""
        return statement

    def for_update_at_once(self, statement: Any) -> Any:
        """Return the SELECT with such a lock, which skips rows that another transaction has locked."""
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

    def length_of_array(self, text: "sa.ColumnElement[Any]") -> "sa.ColumnElement[int]":
        """Return the expression for the length of a JSON array that is stored as text."""
        import sqlalchemy as sa  # noqa: PLC0415 - for statements alone

        return sa.func.json_array_length(text)

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

    def sorts_whole(self, expression: "sa.ColumnElement[Any]") -> bool:
        """Say whether ORDER BY compares the whole values of an expression; if not, Python sorts.

        It is asked if `compared_here` names a kind.
        """
        del expression
        return True

    def page_after(self, statement: "sa.Select[Any]", keys: "Sequence[sa.ColumnElement[Any]]") -> "sa.Select[Any]":
        """Return the SELECT of a page after a cursor, sorted by those keys; a dialect may name the index to use.

        It has no other conditions than those of its list, which compare columns with one value each, and the cursor's.
        """
        del keys
        return statement

    def narrows(self, condition: Condition) -> bool:
        """Say whether `json_condition` returns a weaker condition for one that is worked out in Python."""
        del condition
        return False

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
