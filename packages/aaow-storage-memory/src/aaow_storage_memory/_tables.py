"""Records by kind and id, in layers: the committed state, over it a transaction, over that its savepoints."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    LLMExecution,
    Session,
    StreamEvent,
    ToolCallLog,
)
from aaow_storage.authoring import KINDS, FeedEntry
from aaow_storage.errors import AlreadyExistsError, NotFoundError

T = TypeVar("T")

INDEXED: dict[type, tuple[str, ...]] = {
    Session: ("workflow_id", "parent_session_id"),
    LLMExecution: ("session_id",),
    ToolCallLog: ("execution_id", "session_id"),
    BudgetPool: ("parent_pool_id",),
    ApprovalRequest: ("session_id",),
    StreamEvent: ("stream_id", "session_id"),
}
"""The fields of each kind by which records are found without reading all of that kind."""


class _Layer:
    """Records by kind and id, of which None marks a removed one; and the ids of records by kind, field and value."""

    def __init__(self) -> None:
        self.records: defaultdict[type, dict[str, Any]] = defaultdict(dict)
        self._ids: defaultdict[tuple[type, str], dict[Any, dict[str, None]]] = defaultdict(dict)

    def ids(self, kind: type, field: str, value: Any) -> dict[str, None]:
        """Return the ids of the records of this layer with that value of an indexed field."""
        return self._ids[kind, field].get(value, {})

    def put(self, kind: type, id: str, record: Any) -> None:
        """Set a record; None removes it from the layers below."""
        self.drop(kind, id)
        self.records[kind][id] = record
        for field in INDEXED.get(kind, ()) if record is not None else ():
            self._ids[kind, field].setdefault(getattr(record, field), {})[id] = None

    def drop(self, kind: type, id: str) -> None:
        """Forget what this layer has for an id."""
        record = self.records[kind].pop(id, None)
        for field in INDEXED.get(kind, ()) if record is not None else ():
            by_value = self._ids[kind, field]
            value = getattr(record, field)
            del by_value[value][id]
            if not by_value[value]:
                del by_value[value]


def _found(layers: Sequence[_Layer], kind: type, id: str) -> Any:
    """Return the record that the highest layer has, None if it is removed or missing."""
    for layer in reversed(layers):
        records = layer.records[kind]
        if id in records:
            return records[id]
    return None


class Tables:
    """The committed records; or changes over other tables, made by `on_top`.

    The tables below change only in `apply`, so changes are undone by dropping them. A stored record is replaced, never
    changed in place, so a record that was read stays as it was.
    """

    def __init__(self, *below: _Layer) -> None:
        self._changes = _Layer()
        self._layers = (*below, self._changes)
        self.log: list[FeedEntry] = []
        """What the operations on these tables changed, if the store records changes."""

    def on_top(self) -> "Tables":
        """Return tables for changes over these."""
        return Tables(*self._layers)

    def get(self, kind: type[T], id: str) -> T | None:
        """Return the record, or None if there is none."""
        return cast("T | None", _found(self._layers, kind, id))

    def existing(self, kind: type[T], id: str) -> T:
        """Return the record.

        Raises:
            NotFoundError: there is none.
        """
        record = self.get(kind, id)
        if record is None:
            raise NotFoundError(KINDS[kind], id)
        return record

    def check_parent(self, kind: type, id: str | None) -> None:
        """Check that a referenced record exists; None is no reference.

        Raises:
            NotFoundError: it does not.
        """
        if id is not None:
            self.existing(kind, id)

    def check_new(self, kind: type, id: str) -> None:
        """Check that no record has the id.

        Raises:
            AlreadyExistsError: one has.
        """
        if self.get(kind, id) is not None:
            raise AlreadyExistsError(KINDS[kind], id)

    def all(self, kind: type[T], **fields: Any) -> list[T]:
        """Return the records of a kind with those field values, in no particular order.

        Only those are read that have the value of an indexed field, if there is one among the fields.
        """
        indexed = next((name for name in INDEXED.get(kind, ()) if name in fields), None)
        records = self._everything(kind) if indexed is None else self._found(kind, indexed, fields[indexed])
        for name, value in fields.items():
            records = [record for record in records if getattr(record, name) == value]
        return records

    def _everything(self, kind: type[T]) -> list[T]:
        merged: dict[str, T | None] = {}
        for layer in self._layers:
            merged.update(layer.records[kind])
        return [record for record in merged.values() if record is not None]

    def _found(self, kind: type[T], field: str, value: Any) -> list[T]:
        """Return the records that a layer finds by an index; a layer above may have given one another value."""
        ids: dict[str, None] = {}
        for layer in self._layers:
            ids.update(layer.ids(kind, field, value))
        found = (self.get(kind, each) for each in ids)
        return [record for record in found if record is not None]

    def put(self, id: str, record: object) -> None:
        """Insert the record, or replace the record with that id."""
        self._changes.put(type(record), id, record)

    def remove(self, kind: type, id: str) -> None:
        """Remove the record."""
        self._changes.put(kind, id, None)

    def changed(self) -> list[tuple[type, str, Any, Any]]:
        """Return the kind and id of each record that these tables change, with what it becomes, and what it was."""
        below = self._layers[:-1]
        return [
            (kind, key, record, _found(below, kind, key))
            for kind, records in self._changes.records.items()
            for key, record in records.items()
        ]

    def apply(self) -> None:
        """Copy the changes into the tables below."""
        *_, below, changes = self._layers
        is_bottom = below is self._layers[0]
        for kind, records in changes.records.items():
            for key, record in records.items():
                if record is None and is_bottom:
                    below.drop(kind, key)
                else:
                    below.put(kind, key, record)
