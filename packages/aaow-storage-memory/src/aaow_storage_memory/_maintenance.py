"""The maintenance of a store in memory: it can tell its sizes, and that nothing survives the process."""

import sys
from typing import Any

from aaow_storage.authoring import KINDS, Durability, StoreMaintenance, StoreSizes, TableSize
from aaow_storage_memory._stores import Store


class MemoryMaintenance(StoreMaintenance):
    """The maintenance of one store of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def place(self) -> str:
        return f"memory://{self._store.name}"

    async def exists(self) -> bool:
        return any(self._store.tables.all(kind) for kind in KINDS)

    async def sizes(self) -> StoreSizes:
        """Return how much the records take, roughly: what they share is counted once for each."""
        made = [
            TableSize(name=name, table_bytes=sum(map(_size_of, self._store.tables.all(kind))), index_bytes=0)
            for kind, name in KINDS.items()
        ]
        tables = tuple(sorted(made, key=lambda each: (-each.table_bytes, each.name)))
        return StoreSizes(total_bytes=sum(each.table_bytes for each in tables), tables=tables)

    async def durability(self) -> Durability:
        return Durability(settings={}, warnings=("the store is gone when its process ends; it is for tests",))


def _size_of(value: Any) -> int:
    """Return the bytes of a value and of what it holds."""
    size = sys.getsizeof(value)
    if isinstance(value, dict):
        return size + sum(_size_of(key) + _size_of(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return size + sum(map(_size_of, value))
    fields = getattr(type(value), "__attrs_attrs__", ())
    return size + sum(_size_of(getattr(value, field.name)) for field in fields)
