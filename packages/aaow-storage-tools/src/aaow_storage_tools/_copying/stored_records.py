"""Reads what a store has of given records, and whether it has any records."""

from collections.abc import Iterable, Sequence
from typing import Any

from aaow_storage import Capability, In, QueryFilter, StorageAdapter, StorageOperations
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._errors import NotEmptyError
from aaow_storage_tools._kinds import BUDGET_POOL, KIND_OF, SESSION, STREAM_EVENT, WORKFLOW, Kind

AT_ONCE = 200
"""How many records are asked for at once."""

Key = tuple[str, str]
"""The kind and the id of a record."""


async def stored_like(storage: StorageOperations, items: Iterable[Item]) -> dict[Key, Any]:
    """Return the records of a store that have the kinds and ids of the given ones, by kind and id."""
    by_kind: dict[str, list[Item]] = {}
    for item in items:
        by_kind.setdefault(item.kind.name, []).append(item)
    found: dict[Key, Any] = {}
    for name, of_kind in by_kind.items():
        kind = KIND_OF[name]
        if kind.lists_whole_store(storage):
            found |= await stored_by_id(storage, kind, [item.id for item in of_kind])
        else:
            for item in of_kind:
                if (record := await kind.get_like(storage, item.record)) is not None:
                    found[name, item.id] = record
    return found


async def stored_by_id(
    storage: StorageOperations, kind: Kind[Any], ids: Sequence[str], *, documents: bool = True
) -> dict[Key, Any]:
    """Return the records of a kind that have one of the ids."""
    found: dict[Key, Any] = {}
    for start in range(0, len(ids), AT_ONCE):
        wanted = QueryFilter({kind.id_field: In([*ids[start : start + AT_ONCE]])}, documents=documents)
        records = await kind.list_page(storage, wanted)
        found |= {(kind.name, kind.id_of(record)): record for record in records}
    return found


async def is_empty(storage: StorageAdapter) -> bool:
    """Say whether a store has no records."""
    return not any((await _found_in(storage)).values())


async def check_is_empty(storage: StorageAdapter, name: str, remedy: str) -> None:
    """Check that a store has no records.

    Raises:
        NotEmptyError: it has some.
    """
    found = await _found_in(storage)
    if any(found.values()):
        raise NotEmptyError(name, found, remedy)


async def _found_in(storage: StorageAdapter) -> dict[str, int]:
    """Return 1 for each kind of which the store has a record, and 0 for others that can be there alone."""
    kinds: list[Kind[Any]] = [WORKFLOW, BUDGET_POOL, SESSION]
    if Capability.STREAM_EVENTS in storage.capabilities and STREAM_EVENT.lists_whole_store(storage):
        kinds.append(STREAM_EVENT)
    one = QueryFilter(limit=1, documents=False)
    return {kind.name: len(await kind.list_page(storage, one)) for kind in kinds}
