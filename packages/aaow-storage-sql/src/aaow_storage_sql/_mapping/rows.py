"""Rows become records, and changed records update their rows."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from aaow_storage import ApprovalRequest, BudgetPool, Session, StoredWorkflow
from aaow_storage.authoring import QueryPlan, apply_changes, check_only_if
from aaow_storage.errors import CorruptDataError, StorageError, ValidationError
from aaow_storage_sql._corrupt_data import describe_row, unreadable
from aaow_storage_sql._mapping.hydration import hydrator_for

RecordT = TypeVar("RecordT")


def hydrate(record: type[RecordT], names: Sequence[str], row: Sequence[Any]) -> RecordT:
    """Make a record of a row, whose values are in the order of the names.

    Raises:
        CorruptDataError: the record refuses a value; the error names the record and the field.
    """
    try:
        return hydrator_for(record, tuple(names))(row)
    except Exception as error:
        raise _corrupt(record, names, row, error) from error


def hydrate_all(record: type[RecordT], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[RecordT]:
    """Make a record of each row.

    Raises:
        CorruptDataError: a record refuses a value; the error names the record and the field.
    """
    rows = [*rows]
    try:
        return hydrator_for(record, tuple(names)).all(rows)
    except Exception:  # noqa: BLE001 - raised again for the row at fault
        return [hydrate(record, names, row) for row in rows]


def hydrate_fields(record: type[RecordT], fields: dict[str, Any]) -> RecordT:
    """Make a record of its fields.

    Raises:
        CorruptDataError: the record refuses a value.
    """
    return hydrate(record, tuple(fields), tuple(fields.values()))


def _corrupt(record: type, names: Sequence[str], row: Sequence[Any], error: Exception) -> StorageError:
    key = describe_row(names, row)
    return unreadable(f"a stored {record.__name__}{key and f' with the {key}'}", "", error)


ChangedT = TypeVar("ChangedT", StoredWorkflow, Session, BudgetPool, ApprovalRequest)


def change_stored(stored: ChangedT, only_if: QueryPlan | None, changes: Any) -> ChangedT:
    """Return the stored record with the changes of an `update_*` applied.

    Raises:
        ConflictError: it does not meet `only_if`.
        ValidationError: a field is unknown or immutable, or its new value is invalid.
        CorruptDataError: the record refuses the stored value of a field that was not changed.
    """
    check_only_if(stored, only_if)
    try:
        return apply_changes(stored, changes)
    except ValidationError as error:
        name = error.field.replace("[", ".").partition(".")[0]
        if name in changes or not hasattr(stored, name):
            raise
        raise CorruptDataError(f"the stored {type(stored).__name__} {stored.id!r} is not valid: {error}") from error


def update_by_id(table: sa.Table, names: Sequence[str]) -> sa.Update:
    """Return the UPDATE of those columns of the row with one id; `update_parameters` makes its parameters."""
    values = {name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
    return sa.update(table).where(table.c.id == sa.bindparam("id_")).values(values)


def update_parameters(names: Sequence[str], record: Any) -> dict[str, Any]:
    """Return the parameters of `update_by_id` for a record."""
    return {"id_": record.id, **{f"new_{name}": getattr(record, name) for name in names}}
