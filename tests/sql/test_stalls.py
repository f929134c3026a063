"""A large document does not hold the event loop up, whichever backend it is in.

What is measured is how much the process works between two ticks of a timer, so that it does not count where other
processes have the machine. The heap of the tests is kept from Python's collector of cycles, which would stop for it.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import QueryFilter, Session, StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage_mariadb import testing as mariadb
from aaow_storage_memory import MemoryAdapter
from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database

TICK_S = 0.001
BOUNDS_MS = {8_800: 20, 80_000: 150}
"""How long the loop may stand still, by the nodes of a document: of 1 MB, and of 8 MB."""
READING_MS = {8_800: 20, 80_000: 90}
"""How long where nothing is encoded on the loop: to decode the 8 MB at once takes longer."""
READS = {"get_workflow", "get_session", "list_workflows", "list_sessions", "filter"}
OPERATIONS = {*READS, "save_workflow", "create_session", "update_session"}
LABELS = "xyz"
"""Each measurement has another document. A stall of ours comes in all of them, one of the machine does not."""


class Ticks:
    """A timer on the loop, and the longest time that the process worked between two of its ticks."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._is_over = False

    async def run(self) -> None:
        last = time.process_time()
        while not self._is_over:
            await asyncio.sleep(TICK_S)
            now = time.process_time()
            self.longest_s, last = max(self.longest_s, now - last), now

    async def stop(self) -> None:
        await asyncio.sleep(5 * TICK_S)
        self._is_over = True


async def stall_ms(operation: Callable[[], Awaitable[Any]]) -> float:
    """Return how long the loop stands still at most while an operation runs."""
    gc.collect()
    gc.freeze()
    try:
        ticks = Ticks()
        ticking = asyncio.create_task(ticks.run())
        await asyncio.sleep(5 * TICK_S)
        ticks.longest_s = 0.0
        found = await operation()
        await ticks.stop()
        await ticking
        del found
    finally:
        gc.unfreeze()
    return 1000 * ticks.longest_s


@pytest.fixture(params=["sqlite", "memory", "postgresql", "mariadb"])
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageAdapter]:
    """An adapter of each backend, not open."""
    urls = {"sqlite": str(tmp_path / "store.db"), "memory": "memory://"}
    with ExitStack() as stack:
        if request.param == "postgresql":
            stack.enter_context(skipped_where_missing())
            urls["postgresql"] = stack.enter_context(temporary_database())
        if request.param == "mariadb":
            stack.enter_context(skipped_where_missing())
            urls["mariadb"] = stack.enter_context(mariadb.temporary_database())
        yield create_adapter(request.param, urls[request.param])


async def stalls_of(storage: StorageAdapter, count: int, label: str) -> dict[str, float]:
    """Return how long each operation with a document of so many nodes holds the loop up, in milliseconds of work."""
    nodes = [
        {"id": f"node-{n}", "type": "llm", "label": label * 30, "config": {"a": n, "c": [1, 2]}} for n in range(count)
    ]
    workflow = StoredWorkflow(name="large", version="1", definition={"name": "large", "nodes": nodes})
    session = Session(workflow_id=None, workflow_snapshot=workflow.definition)
    operations: dict[str, Callable[[], Awaitable[Any]]] = {
        "save_workflow": lambda: storage.save_workflow(workflow),
        "create_session": lambda: storage.create_session(session),
        "get_workflow": lambda: storage.get_workflow(workflow.id),
        "get_session": lambda: storage.get_session(session.id),
        "list_workflows": lambda: storage.list_workflows(QueryFilter({"id": workflow.id})),
        "list_sessions": lambda: storage.list_sessions(QueryFilter({"id": session.id})),
        "filter": lambda: storage.list_workflows(QueryFilter({"definition.name": "large"}, limit=1)),
        "update_session": lambda: storage.update_session(session.id, status="paused"),
    }
    stalls = {name: round(await stall_ms(operation)) for name, operation in operations.items()}
    assert await storage.get_workflow(workflow.id) == workflow
    return stalls


@pytest.mark.slow(seconds=15)
@pytest.mark.asyncio
@pytest.mark.parametrize("count", BOUNDS_MS)
async def test_the_loop_goes_on_while_a_large_document_is_saved_and_read(adapter: StorageAdapter, count: int):
    shortest: dict[str, float] = {}
    async with adapter as storage:
        bounds = {name: (READING_MS if name in READS else BOUNDS_MS)[count] for name in OPERATIONS}
        if isinstance(storage, MemoryAdapter):  # which encodes what it copies, on the loop
            bounds = dict.fromkeys(bounds, BOUNDS_MS[count])
        for label in LABELS:
            stalls = await stalls_of(storage, count, label)
            shortest = {name: min(stall, shortest.get(name, stall)) for name, stall in stalls.items()}
            too_long = {name: stall for name, stall in shortest.items() if stall > bounds[name]}
            if not too_long:
                break
    assert too_long == {}
