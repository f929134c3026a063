"""An adapter that is dropped while it is open: a warning names the store, and its threads release everything."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from aaow_storage import StoredWorkflow, Transaction, create_adapter
from aaow_storage_sql import Call, Operation

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0
Released = Callable[[Path], Awaitable[None]]


def a_workflow(id: str) -> StoredWorkflow:
    return StoredWorkflow(id=id, name="n", version="1", definition={})


@pytest.fixture
def heard() -> Iterator[list[warnings.WarningMessage]]:
    """The warnings of the test."""
    gc.collect()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield heard


@pytest.fixture
def released(descriptors_on: Callable[[Path], list[str]]) -> Released:
    """A function that waits until no thread and no descriptor of a store is left."""

    async def wait(path: Path) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (threads := [each.name for each in threading.enumerate() if str(path) in each.name]) or (
            descriptors_on(path)
        ):
            assert time.monotonic() < deadline, (threads, descriptors_on(path))
            await asyncio.sleep(0.01)

    return wait


async def test_a_dropped_adapter_is_released_and_the_warning_names_its_store(
    path: Path, released: Released, heard: list[warnings.WarningMessage]
):
    async def forget() -> None:
        adapter = create_adapter("sqlite", str(path))
        await adapter.initialize()
        await adapter.save_workflow(a_workflow("w"))

    await asyncio.create_task(forget())
    await asyncio.sleep(0)
    gc.collect()
    await released(path)
    assert [(each.category, str(path) in str(each.message)) for each in heard] == [(ResourceWarning, True)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # it was closed as `close` closes it
    async with create_adapter("sqlite", str(path)) as again:
        assert await again.count_workflows() == 1


async def test_the_folder_of_a_dropped_store_in_memory_is_removed(
    released: Released, heard: list[warnings.WarningMessage]
):
    async def forget() -> Path:
        adapter = create_adapter("sqlite", "sqlite://")
        await adapter.initialize()
        return adapter._executor._writer._settings.location.path

    path = await asyncio.create_task(forget())
    await asyncio.sleep(0)
    gc.collect()
    await released(path)
    deadline = time.monotonic() + PATIENCE_S
    while path.parent.exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert len(heard) == 1


async def test_a_transaction_that_is_used_keeps_its_adapter(
    path: Path, released: Released, heard: list[warnings.WarningMessage]
):
    async def begin() -> Transaction:
        adapter = create_adapter("sqlite", str(path))
        await adapter.initialize()
        return await adapter.begin_transaction()

    tx = await asyncio.create_task(begin())
    gc.collect()
    await tx.save_workflow(a_workflow("w"))
    await tx.commit()
    assert heard == []
    del tx
    await asyncio.sleep(0)
    gc.collect()
    await released(path)
    assert len(heard) == 1


@pytest.mark.parametrize("where", ["writer", "reader"])
async def test_the_last_reference_may_be_dropped_on_a_thread_of_the_store_itself(
    path: Path, released: Released, heard: list[warnings.WarningMessage], where: str
):
    collected = threading.Event()

    async def forget() -> "weakref.ref[object]":
        adapter = create_adapter("sqlite", str(path))
        await adapter.initialize()
        executor, gone = adapter._executor, weakref.ref(adapter._executor)
        adapter.itself = adapter  # only the collector finds that it is dropped

        def collect(_: object) -> None:
            while gone() is not None:
                gc.collect()
            collected.set()

        work = executor.submit(Call(Operation(collect, writes=where == "writer")))
        work.close()  # nothing waits for it
        return gone

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        await asyncio.create_task(forget())
    assert await asyncio.to_thread(collected.wait, PATIENCE_S)
    await released(path)
    assert [each.category for each in heard] == [ResourceWarning]


async def test_a_warning_that_is_made_an_error_does_not_keep_it_from_being_released(
    path: Path, released: Released, monkeypatch: pytest.MonkeyPatch
):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    async def forget() -> None:
        await create_adapter("sqlite", str(path)).initialize()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await asyncio.create_task(forget())
        await asyncio.sleep(0)
        gc.collect()
    await released(path)
    assert [each.exc_type for each in unraisable] == [ResourceWarning]


EXITING = """
import asyncio, sys
from aaow_storage import StoredWorkflow, Transaction, create_adapter

async def leave(url):
    storage = create_adapter("sqlite", url)
    await storage.initialize()
    for number in range(50):
        asyncio.create_task(storage.save_workflow(StoredWorkflow(id=str(number), name="n", version="1", definition={})))
    await asyncio.sleep(0.01)
    tx = await storage.begin_transaction()
    globals()["kept"] = [storage, tx][:int(sys.argv[2])]

asyncio.run(leave(sys.argv[1]))
"""


@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_a_process_exits_without_output_whatever_it_has_not_closed(path: Path, kept: int):
    for url in (str(path), "sqlite://"):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", EXITING, url, str(kept)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
