"""Describes a store: how much of what is in it, from when, how large it is, and what is to be said against it."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from aaow_storage import (
    ApprovalStatus,
    NotOfferedError,
    OrderBy,
    QueryFilter,
    SessionStatus,
    StorageAdapter,
    UnsupportedOperationError,
)
from aaow_storage.authoring import DEFAULT_ORDER, Durability, SchemaStatus, StoreMaintenance, StoreSizes
from aaow_storage_tools._kinds import BUDGET_POOL, EXECUTION_STATE, KINDS, STREAM_EVENT, Kind
from aaow_storage_tools._pages import pages_of_kind
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

MAX_COUNTED = 10_000
"""How many records of a kind that the store cannot count are read, unless an exact number is asked for."""


@frozen(kw_only=True)
class KindCount:
    """How many records of a kind there are.

    Attributes:
        kind: the kind.
        count: how many.
        is_exact: whether there are no more; the store cannot count this kind, and reading all would take long.
        by_status: how many there are by status; empty if the kind has none.
        oldest: the earliest time of one, None if there is none, or the kind has no time.
        newest: the latest time of one.
    """

    kind: str
    count: int
    is_exact: bool = True
    by_status: Mapping[str, int] = field(factory=dict)
    oldest: datetime | None = None
    newest: datetime | None = None


@frozen(kw_only=True)
class StoreDescription:
    """What is known of a store.

    Attributes:
        kinds: the counts by kind, as `describe_contents` returns them.
        sizes: how large the store and its tables are, None if the backend does not say.
        durability: what a commit survives, None if the backend does not say.
        schema: the version of the schema, None if the backend does not say.
        warnings: what is to be said against the store, a sentence each.
    """

    kinds: tuple[KindCount, ...] = ()
    sizes: StoreSizes | None = None
    durability: Durability | None = None
    schema: SchemaStatus | None = None
    warnings: tuple[str, ...] = ()


async def describe_store(maintenance: StoreMaintenance | None) -> StoreDescription:
    """Describe a store from outside, without its contents; it need not be open, and its schema may differ.

    Args:
        maintenance: what the backend offers, from `maintenance_of`; without, nothing is known.
    """
    if maintenance is None:
        return StoreDescription()
    durability = await _offered(maintenance.durability)
    schema = await _offered(maintenance.schema_status)
    warnings = [] if schema is None else _warnings_of(schema)
    return StoreDescription(
        sizes=await _offered(maintenance.sizes),
        durability=durability,
        schema=schema,
        warnings=(*warnings, *(() if durability is None else durability.warnings)),
    )


async def describe_contents(
    storage: StorageAdapter, *, exact: bool = False, progress: ProgressCallback | None = None
) -> tuple[KindCount, ...]:
    """Count what is in a store, kind by kind.

    What the store counts itself is counted. Of what has to be read, no more than 10,000 records of a kind are read,
    unless `exact` is true; execution states are counted only then. A kind that the backend does not have is left out.

    Args:
        storage: the open store.
        exact: whether to count everything.
        progress: told how many records were read.
    """
    kinds: list[KindCount] = []
    for kind in KINDS:
        try:
            found = await _count(storage, kind, exact, progress or ignore_progress)
        except UnsupportedOperationError:
            continue
        if found is not None:
            kinds.append(found)
    return tuple(kinds)


def _warnings_of(schema: SchemaStatus) -> list[str]:
    if schema.is_newer:
        return [f"the schema {schema.found} is of a later release than this one, which needs {schema.expected}"]
    if schema.is_current:
        return []
    behind = f"the schema {schema.found} is behind {schema.expected} by {len(schema.pending)} steps"
    return [f"{behind}: run `aaow-storage migrate upgrade`"]


async def _offered(operation: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await operation()
    except NotOfferedError:
        return None


async def _count(storage: StorageAdapter, kind: Kind[Any], exact: bool, progress: ProgressCallback) -> KindCount | None:
    count = _COUNTS.get(kind.name)
    if count is not None:
        by_status = await count(storage)
        total, is_exact = sum(by_status.values()), True
        if kind.name == "workflow":
            by_status = {}
    elif kind is EXECUTION_STATE and not exact:
        return None
    else:
        total, is_exact, by_status = await _read(storage, kind, exact, progress)
    oldest, newest = await _ends(storage, kind) if total else (None, None)
    return KindCount(
        kind=kind.name,
        count=total,
        is_exact=is_exact,
        by_status={status: number for status, number in by_status.items() if number},
        oldest=oldest,
        newest=newest,
    )


async def _read(
    storage: StorageAdapter, kind: Kind[Any], exact: bool, progress: ProgressCallback
) -> tuple[int, bool, Counter[str]]:
    """Count by reading: how many, whether these are all, and how many by status."""
    total = 0
    by_status: Counter[str] = Counter()
    async for page in _pages(storage, kind):
        total += sum(each.events for each in page) if kind is STREAM_EVENT else len(page)
        if kind is BUDGET_POOL:
            by_status.update(str(each.status) for each in page)
        progress(Progress(what=f"counting {kind.name.replace('_', ' ')}s", done=total))
        if total >= MAX_COUNTED and not exact:
            return total, False, by_status
    return total, True, by_status


async def _pages(storage: StorageAdapter, kind: Kind[Any]) -> AsyncIterator[list[Any]]:
    """Yield pages of what is counted: the streams in place of their events, because they know how many they have."""
    if kind is not STREAM_EVENT:
        async for page in pages_of_kind(storage, kind, documents=False):
            yield page
        return
    streams = QueryFilter(order_by=OrderBy("stream_id"), limit=500)
    while summaries := await storage.list_streams(streams):
        yield summaries
        streams = streams.after(summaries[-1])


async def _ends(storage: StorageAdapter, kind: Kind[Any]) -> tuple[datetime | None, datetime | None]:
    """Return the earliest and the latest time of a kind."""
    name = DEFAULT_ORDER[kind.record]
    if name == kind.id_field:
        return None, None
    ends = []
    for direction in ("asc", "desc"):
        page = QueryFilter(order_by=OrderBy(name, direction), limit=1, documents=False)
        found = await kind.list_page(storage, page)
        ends.append(getattr(found[0], name) if found else None)
    return ends[0], ends[1]


async def _workflows(storage: StorageAdapter) -> dict[str, int]:
    return {"": await storage.count_workflows()}


async def _sessions(storage: StorageAdapter) -> dict[str, int]:
    return {str(each): await storage.count_sessions(QueryFilter({"status": each})) for each in SessionStatus}


async def _executions(storage: StorageAdapter) -> dict[str, int]:
    outcomes = {"ok": True, "failed": False, "running": None}
    return {
        name: await storage.count_llm_executions(QueryFilter({"success": success}))
        for name, success in outcomes.items()
    }


async def _approvals(storage: StorageAdapter) -> dict[str, int]:
    return {str(each): await storage.count_approval_requests(QueryFilter({"status": each})) for each in ApprovalStatus}


_COUNTS: Mapping[str, Callable[[StorageAdapter], Awaitable[dict[str, int]]]] = {
    "workflow": _workflows,
    "session": _sessions,
    "llm_execution": _executions,
    "approval_request": _approvals,
}
"""What a store counts itself, by status."""
