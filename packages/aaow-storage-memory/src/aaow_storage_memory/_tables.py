"""Records by kind and id, in layers: what is committed, a transaction on top of it, a savepoint on top of that."""

from collections import defaultdict
from typing import Any, TypeAlias, TypeVar, cast

from aaow_storage.authoring import KINDS
from aaow_storage.errors import AlreadyExistsError, NotFoundError

T = TypeVar("T")

Layer: TypeAlias = defaultdict[type, dict[str, Any]]
"""Records by kind and id, where None stands for one that was removed."""


class Tables:
    """What is committed, or, made by `on_top`, changes over other tables.

    What is below stays as it is until `apply`, so to undo changes is to forget them. A record in a table is replaced,
    never changed, so one that was read stays as it was.
    """

    def __init__(self, *below: Layer) -> None:
        self._changes: Layer = defaultdict(dict)
        self._layers = (*below, self._changes)

    def on_top(self) -> "Tables":
        """Return tables for changes over these."""
        return Tables(*self._layers)

    def get(self, kind: type[T], id: str) -> T | None:
        """Return the record, or None where there is none."""
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
        """Check that the record that another refers to is there; None refers to nothing.

        Raises:
            NotFoundError: it is not.
        """
        if id is not None:
            self.existing(kind, id)

    def check_new(self, kind: type, id: str) -> None:
        """Check that the id is free.

        Raises:
            AlreadyExistsError: it is taken.
        """
        if self.get(kind, id) is not None:
            raise AlreadyExistsError(KINDS[kind], id)

    def all(self, kind: type[T], **fields: Any) -> list[T]:
        """Return the records of a kind whose fields have those values, in no particular order."""
        merged: dict[str, T | None] = {}
        for layer in self._layers:
            merged.update(layer[kind])
        records = [record for record in merged.values() if record is not None]
        for name, value in fields.items():
            records = [record for record in records if getattr(record, name) == value]
        return records

    def put(self, id: str, record: object) -> None:
        """Insert the record, or replace the one under its id."""
        self._changes[type(record)][id] = record

    def remove(self, kind: type, id: str) -> None:
        """Remove the record."""
        self._changes[kind][id] = None

    def apply(self) -> None:
        """Make the changes in the tables below."""
        *_, below, changes = self._layers
        is_bottom = below is self._layers[0]
        for kind, records in changes.items():
            for key, record in records.items():
                if record is None and is_bottom:
                    below[kind].pop(key, None)
                else:
                    below[kind][key] = record
