"""Finding one record by its id, with one statement or a few."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.errors import NotFoundError
from aaow_storage_sql._connection import Row, SQLConnection

RecordT = TypeVar("RecordT")
AnyOperation = Callable[..., Any]
Operation = TypeVar("Operation", bound=AnyOperation)

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
        record = self.record(connection.row(connection.dialect.locking(self.statement), {"id": id}))
        if record is None:
            raise NotFoundError(self.kind, id)
        return record

    def record(self, row: Row | None) -> RecordT | None:
        """Make the record of the row that the statement found."""
        return None if row is None else self.made_of(row)
