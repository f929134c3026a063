"""An operation: a function that runs on a connection, and the facts that an executor chooses its thread by."""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, TypeVarTuple

from attrs import define, frozen

from aaow_storage.errors import CorruptDataError, NotFoundError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aaow_storage_sql._statements.compiled import Row
    from aaow_storage_sql._statements.connection import SQLConnection

T = TypeVar("T")
Args = TypeVarTuple("Args")

Work = Callable[["SQLConnection"], T]
"""An operation with its arguments. It may run again after a rollback, so it has no effect outside the database."""


class FallBack(Enum):
    """What a fast path returns if it changed nothing and the whole operation has to run."""

    FALL_BACK = "fall back"


FALL_BACK: Final = FallBack.FALL_BACK


@frozen(eq=False, repr=False)
class Operation(Generic[*Args, T]):
    """A function on a connection, with the facts that decide how it may run."""

    run: Callable[["SQLConnection", *Args], T]
    """Runs inside a transaction, and may take several statements."""
    writes: bool
    """Whether it changes the store."""
    fast_path: Callable[..., Any] | None = None
    """Takes the same arguments, and does the same with one statement or returns `FALL_BACK`.

    Statements before that one may add what is of no effect without it. A statement that fails undoes itself, so this
    one needs no transaction and no savepoint. On SQLite those together cost more than many a statement does.
    """
    is_idempotent: bool = False
    """Whether running it twice leaves the same store as running it once."""
    is_point_read: bool = False
    """Whether it reads one record, so that each call takes about as long as the last one did."""
    lookup: "Lookup[Any] | None" = None
    """The select that a point read consists of; None if it needs several statements."""
    reads_feed: bool = False
    """Whether it reads the change feed, whose committed rows must have their numbers first; see `FeedOrder`."""
    is_for_readers: bool = False
    """Whether it writes what readers wait for, so that it must not wait for a connection that writers use."""
    saves_one_row: bool = False
    """Whether it does nothing but `save_last`, so that a server may save the rows of several callers together."""


@define(eq=False, repr=False)
class Call(Generic[T]):
    """An operation and the arguments of one call."""

    operation: Operation[*tuple[Any, ...], T]
    args: tuple[Any, ...] = ()

    def run(self, connection: "SQLConnection") -> T:
        """Run the operation on a connection."""
        return self.operation.run(connection, *self.args)


def operation(
    *,
    writes: bool,
    is_single_statement: bool = False,
    fast_path: Callable[..., Any] | None = None,
    is_idempotent: bool = False,
    is_point_read: bool = False,
    reads_feed: bool = False,
    is_for_readers: bool = False,
    saves_one_row: bool = False,
) -> Callable[[Callable[["SQLConnection", *Args], T]], Operation[*Args, T]]:
    """Make an `Operation` of the decorated function; one of a single statement is its own fast path."""

    def decorate(run: Callable[["SQLConnection", *Args], T]) -> Operation[*Args, T]:
        return Operation(
            run,
            writes=writes,
            fast_path=run if is_single_statement else fast_path,
            is_idempotent=is_idempotent,
            is_point_read=is_point_read,
            reads_feed=reads_feed,
            is_for_readers=is_for_readers,
            saves_one_row=saves_one_row,
        )

    return decorate


@frozen(eq=False, repr=False)
class Lookup(Generic[T]):
    """Finds a record of one kind by its id: a select of one row, and the function that makes the record of the row."""

    kind: str
    """What errors call such a record."""
    statement: "sa.Select[Any]"
    make: Callable[["Row"], T]

    def find(self, connection: "SQLConnection", id: str) -> T | None:
        """Return the record, or None."""
        return self._locked(connection, id) if connection.is_interactive else self._read(connection, self.statement, id)

    def lock(self, connection: "SQLConnection", id: str) -> T:
        """Return the record, and lock its row until the transaction ends.

        Raises:
            NotFoundError: there is none.
        """
        record = self._locked(connection, id)
        if record is None:
            raise NotFoundError(self.kind, id)
        return record

    def _locked(self, connection: "SQLConnection", id: str) -> T | None:
        """Return the record, and lock its row.

        A second try, because PostgreSQL, after a wait for the lock, reads the new version of the row, but subqueries
        with its old snapshot. A document that another transaction stored meanwhile is missing from that.
        """
        statement = connection.dialect.for_update(self.statement)
        try:
            return self._read(connection, statement, id)
        except CorruptDataError:
            return self._read(connection, statement, id)

    def _read(self, connection: "SQLConnection", statement: "sa.Select[Any]", id: str) -> T | None:
        return self.hydrate(connection.row(statement, {"id": id}))

    def hydrate(self, row: "Row | None") -> T | None:
        """Make the record of the row that the statement found; None if it found no row."""
        return None if row is None else self.make(row)

    def as_operation(self) -> Operation[str, T | None]:
        """Return the operation that finds a record by its id."""
        return Operation(self.find, writes=False, is_point_read=True, lookup=self)
