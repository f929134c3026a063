"""Records by kind and id, in layers: the committed state, over it a transaction, over that its savepoints."""

from collections import defaultdict
from typing import Any, TypeAlias, TypeVar, cast

from aaow_storage.authoring import KINDS
from aaow_storage.errors import AlreadyExistsError, NotFoundError

T = TypeVar("T")

Layer: TypeAlias = defaultdict[type, dict[str, Any]]
"""Records by kind and id; None marks a removed record."""


class Tables:
    """The committed records; or changes over other tables, made by `on_top`.

    The tables below change only in `apply`, so changes are undone by dropping them. A stored record is replaced, never
    changed in place, so a record that was read stays as it was.
    """

    def __init__(self, *below: Layer) -> None:
        self._changes: Layer = defaultdict(dict)
        self._layers = (*below, self._changes)

    def on_top(self) -> "Tables":
        """Return tables for changes over these."""
        return Tables(*self._layers)

    def get(self, kind: type[T], id: str) -> T | None:
        """Return the record, or None if there is none."""
        for layer in reversed(self._layers):
            if id in layer[kind]:
                return cast("T | None", layer[kind][id])
        return None

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
        """Return the records of a kind with those field values, in no particular order."""
        merged: dict[str, T | None] = {}
        for layer in self._layers:
            merged.update(layer[kind])
        records = [record for record in merged.values() if record is not None]
        for name, value in fields.items():
            records = [record for record in records if getattr(record, name) == value]
        return records

    def put(self, id: str, record: object) -> None:
        """Insert the record, or replace the record with that id."""
        self._changes[type(record)][id] = record

    def remove(self, kind: type, id: str) -> None:
        """Remove the record."""
        self._changes[kind][id] = None

    def apply(self) -> None:
        """Copy the changes into the tables below."""
        *_, below, changes = self._layers
        is_bottom = below is self._layers[0]
        for kind, records in changes.items():
            for key, record in records.items():
                if record is None and is_bottom:
                    below[kind].pop(key, None)
                else:
                    below[kind][key] = record
