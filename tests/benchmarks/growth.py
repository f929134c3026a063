"""What the size of a store does to the cost of what is done with it."""

import asyncio
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from aaow_storage import Direction, OrderBy, QueryFilter, Session, StorageAdapter, create_adapter
from benchmarks import payloads
from benchmarks.large_store import WORKFLOWS, fill, session_id
from benchmarks.measuring import Operation, percentile, run_callers
from benchmarks.results import Bound
from benchmarks.rounds import remove

SMALL = 1000
MAX_GROWTH = 1.5
OPERATIONS = 200
SLOW_OPERATIONS = 1
INDEXED = ["Session.metadata.user"]
SLOW = "list_sessions, by metadata without an index"
PAGE = QueryFilter(limit=100)
NEWEST = QueryFilter({"status": "running"}, order_by=OrderBy("created_at", Direction.DESCENDING), limit=100)
SCAN = QueryFilter(limit=1000)
MIB = 2**20
RESIDENT_UNIT = 1 if sys.platform == "darwin" else 1024

Costs = dict[str, list[float]]
"""For each operation what it costs in the small store and in the large one."""


def growth(folder: Path, sessions: int, rounds: int) -> Iterator[Bound]:
    """Yield the cost of each operation in a store of so many sessions, of that in one of a thousand."""
    small, large = folder / "small.db", folder / "large.db"
    fill(small, SMALL)
    fill(large, sessions)
    yield Bound(f"a file of {sessions:,} sessions", large.stat().st_size / MIB, "MiB")
    rounds_of_costs = [asyncio.run(_costs({small: SMALL, large: sessions})) for _ in range(rounds)]
    yield from compared(rounds_of_costs)
    added = asyncio.run(_memory_of_scan(large))
    yield Bound("memory that a scan of it adds after its first tenth", added / MIB, "MiB", at_most=16)
    remove(small)
    remove(large)


def compared(rounds: Sequence[Costs]) -> Iterator[Bound]:
    """Yield, for each operation, the median of its costs in the large store over that in the small one."""
    for name in rounds[0]:
        before, after = (median(costs) * 1000 for costs in zip(*(each[name] for each in rounds), strict=True))
        target = None if name == SLOW else MAX_GROWTH
        yield Bound(f"{name}: {before:.3f} ms grows to {after:.3f} ms", after / before, at_most=target)


async def _costs(stores: dict[Path, int]) -> Costs:
    """Return what each operation costs in one store right after the other; no flush to the disk hides what grows."""
    async with AsyncExitStack() as open_stores:
        choices = []
        for path, sessions in stores.items():
            adapter = create_adapter("sqlite", str(path), synchronous="NORMAL", indexes=INDEXED)
            choices.append(await operations(await open_stores.enter_async_context(adapter), sessions))
        return {name: [await _cost(each[name], name) for each in choices] for name in choices[0]}


async def _cost(operation: Operation, name: str) -> float:
    run = await run_callers(operation, SLOW_OPERATIONS if name == SLOW else OPERATIONS, 1)
    return percentile(run.latencies, 0.5)


async def operations(storage: StorageAdapter, sessions: int) -> dict[str, Operation]:
    """Return what is compared, by name; pages are full in a store of any size."""
    last_page = PAGE.after(await storage.get_session(session_id(sessions - 200)))

    def any_id(number: int) -> str:
        return session_id(1 + number * 7919 % sessions)

    def session(number: int) -> Session:
        return Session(workflow_id=f"workflow-{number % WORKFLOWS}", workflow_snapshot=payloads.SMALL_SNAPSHOT)

    return {
        "get_session": lambda number: storage.get_session(any_id(number)),
        "get_execution_state": lambda number: storage.get_execution_state(any_id(number)),
        "get_llm_executions": lambda number: storage.get_llm_executions(any_id(number), PAGE),
        "list_sessions, first page": lambda _: storage.list_sessions(PAGE),
        "list_sessions, a page near the end by after": lambda _: storage.list_sessions(last_page),
        "list_sessions, newest that run": lambda _: storage.list_sessions(NEWEST),
        "list_sessions, of a workflow": lambda number: storage.list_sessions(
            QueryFilter({"workflow_id": f"workflow-{number % WORKFLOWS}"}, limit=100)
        ),
        "list_pending_approvals, first page": lambda _: storage.list_pending_approvals(PAGE),
        "list_sessions, one user in metadata": lambda number: storage.list_sessions(
            QueryFilter({"metadata.user": f"user-{sessions - number}"})
        ),
        SLOW: lambda _: storage.list_sessions(QueryFilter({"metadata.team": "a"})),
        "save_llm_execution": lambda number: storage.save_llm_execution(
            any_id(number), "node-0", payloads.llm_result(number)
        ),
        "update_node_state": lambda number: storage.update_node_state(
            any_id(number), "node-0", payloads.node_state("node-0", time.time_ns())
        ),
        "create_session": lambda number: storage.create_session(session(number)),
    }


async def _memory_of_scan(path: Path) -> int:
    """Walk through all sessions by pages; return by how many bytes the process grew after the first tenth."""
    async with create_adapter("sqlite", str(path)) as storage:
        sessions = await storage.count_sessions()
        page = await storage.list_sessions(SCAN)
        seen, at_first = len(page), _most_resident()
        while page:
            page = await storage.list_sessions(SCAN.after(page[-1]))
            seen += len(page)
            if seen <= sessions // 10:
                at_first = _most_resident()
        return _most_resident() - at_first


def _most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RESIDENT_UNIT
