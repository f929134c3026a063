"""Operations that are one statement, or are tried as one first.

A statement that fails undoes itself. So one that is all of an operation needs no transaction and no savepoint, which
together cost more than many a statement does.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.errors import NotFoundError
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection

AnyOperation = Callable[..., Any]
Operation = TypeVar("Operation", bound=AnyOperation)
RecordT = TypeVar("RecordT")
T = TypeVar("T")

Work = Callable[[SQLConnection], T]
"""An operation, to be run on a connection. It may be run again after a rollback, so it has no other effect."""


class FallBack(Enum):
    """What an attempt returns where it did nothing."""

    FALL_BACK = "not done"


FALL_BACK: Final = FallBack.FALL_BACK

_attempts: dict[AnyOperation, AnyOperation] = {}


def one_statement(operation: Operation) -> Operation:
    """Mark an operation that changes the store by one statement alone, and reads nothing before it."""
    _attempts[operation] = operation
    return operation


def tried_first_as(attempt: AnyOperation) -> Callable[[Operation], Operation]:
    """Name a function of the same parameters that does the operation in one statement, or returns `FALL_BACK`."""

    def mark(operation: Operation) -> Operation:
        _attempts[operation] = attempt
        return operation

    return mark


_repeatable: set[AnyOperation] = set()


def repeatable(operation: Operation) -> Operation:
    """Mark an operation that comes to the same when it is run twice: it saves a record whole."""
    _repeatable.add(operation)
    return operation


def is_repeatable(operation: AnyOperation) -> bool:
    """Say whether an operation is marked like that."""
    return operation in _repeatable


def attempt_at(operation: AnyOperation) -> AnyOperation | None:
    """Return what does the operation in one statement, or None."""
    return _attempts.get(operation)


_of_one_record: set[AnyOperation] = set()


def reads_one_record(operation: Operation) -> Operation:
    """Mark an operation that reads one record, in more statements than one."""
    _of_one_record.add(operation)
    return operation


def is_of_one_record(operation: AnyOperation) -> bool:
    """Say whether an operation is marked like that."""
    return operation in _of_one_record


@frozen(eq=False)
class Lookup(Generic[RecordT]):
    """How records of one kind are found: by a select of the row with an `id`, of which the record is made."""

    kind: str
    """What errors call such a record."""
    statement: sa.Select[Any]
    made_of: Callable[[Row], RecordT]

    def __call__(self, connection: SQLConnection, id: str) -> RecordT | None:
        """Return the record, or None."""
        return self.record(connection.row(connection.reading(self.statement), {"id": id}))

    def to_change(self, connection: SQLConnection, id: str) -> RecordT:
        """Return the record, and keep others from it until the transaction ends.

        Raises:
            NotFoundError: there is none.
        """
        record = self.record(connection.row(connection.dialect.for_update(self.statement), {"id": id}))
        if record is None:
            raise NotFoundError(self.kind, id)
        return record

    def record(self, row: Row | None) -> RecordT | None:
        """Make the record of the row that the statement found."""
        return None if row is None else self.made_of(row)
