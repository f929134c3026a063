"""Random stores, and everything that is in one."""

from typing import Any

from hypothesis import strategies as st

from aaow_storage import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    StorageAdapter,
    TransactionError,
    ValidationError,
)
from aaow_storage_conformance.data.initial_calls import INITIAL_CALLS
from aaow_storage_conformance.data.random_calls import RandomCall, writes
from aaow_storage_tools._kinds import KINDS
from aaow_storage_tools._pages import records_of_kind

random_writes = st.lists(writes(lambda _: True), min_size=5, max_size=40)
_EXPECTED = (ValidationError, NotFoundError, AlreadyExistsError, ConflictError, TransactionError)


async def write(storage: StorageAdapter, *calls: RandomCall) -> None:
    """Make random calls; those that the store refuses leave it as it was."""
    for call in calls:
        try:
            await call.on(storage)
        except _EXPECTED:
            continue


async def write_first(storage: StorageAdapter, *calls: RandomCall) -> None:
    """Store a record of each kind, and make random calls."""
    await write(storage, *INITIAL_CALLS, *calls)


async def contents_of(storage: StorageAdapter) -> dict[str, list[dict[str, Any]]]:
    """Return every field of every record."""
    contents: dict[str, list[dict[str, Any]]] = {}
    for kind in KINDS:
        records = [record.to_dict() async for record in records_of_kind(storage, kind)]
        for record in records:
            if "node_states" in record:
                record["node_states"] = dict(sorted(record["node_states"].items()))
        contents[kind.name] = records
    return contents
