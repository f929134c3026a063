"""Forked processes: inherited adapters are refused, new ones work, and the parent's store is not touched."""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_sql import Call, Operation
from aaow_storage_sqlite import _memory_stores
from aaow_storage_sqlite._tuning import Tuning

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(not hasattr(os, "fork") or sys.platform != "linux", reason="needs fork, and locks of Linux"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]

PATIENCE_S = 20


def a_workflow(id: str) -> StoredWorkflow:
    return StoredWorkflow(id=id, name="n", version="1", definition={})


def forked(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a coroutine in a forked process; return the id of that process."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        signal.alarm(PATIENCE_S)
        asyncio.run(main())
        status = 0
    except BaseException:  # noqa: BLE001 - the parent's test must not go on here
        traceback.print_exc()
    finally:
        os._exit(status)


async def ended(process: int) -> int:
    """Return the exit status of a process."""
    return os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, process, 0))[1])


async def test_a_forked_process_may_open_its_parents_store_with_a_new_adapter(storage: StorageAdapter, path: Path):
    await storage.save_workflow(a_workflow("parent's"))

    async def child() -> None:
        async with create_adapter("sqlite", str(path)) as own:
            assert await own.get_workflow("parent's") is not None
            await own.save_workflow(a_workflow("child's"))

    assert await ended(forked(child)) == 0
    await storage.save_workflow(a_workflow("parent's again"))
    assert {each.id for each in await storage.list_workflows()} == {"parent's", "child's", "parent's again"}


async def test_forked_processes_may_outlive_the_adapter_of_their_parent(path: Path):
    ready, go = os.pipe()

    async def child(name: str) -> None:
        os.read(ready, 1)
        for turn in range(2):
            async with create_adapter("sqlite", str(path)) as own:
                for number in range(20):
                    await own.save_workflow(a_workflow(f"{name} {turn} {number}"))

    async with create_adapter("sqlite", str(path)) as storage:
        await storage.save_workflow(a_workflow("parent's"))
        processes = [forked(lambda name=name: child(name)) for name in "abc"]
    os.write(go, b"123")
    assert [await ended(process) for process in processes] == [0, 0, 0]
    async with create_adapter("sqlite", str(path)) as storage:
        assert await storage.count_workflows() == 1 + 3 * 2 * 20
    for descriptor in (ready, go):
        os.close(descriptor)


@pytest.mark.parametrize("threads", [1, 2])
async def test_a_fork_in_the_middle_of_much_work_waits_until_no_thread_is_inside_sqlite(
    path: Path, threads: int, create_tuned: Callable[..., StorageAdapter]
):
    async with create_tuned(path, Tuning(max_fork_wait_s=PATIENCE_S), reader_threads=threads) as storage:

        async def work(name: int) -> None:
            for number in range(100):
                await storage.save_workflow(a_workflow(f"{name} {number}"))
                await storage.list_workflows()

        async def child() -> None:
            async with create_adapter("sqlite", str(path)) as own:
                await own.save_workflow(a_workflow("child's"))

        working = [asyncio.create_task(work(name)) for name in range(4)]
        for _ in range(4):
            await asyncio.sleep(0.02)  # some way into the work
            assert await ended(forked(child)) == 0
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def test_a_store_in_a_transaction_at_the_fork_is_refused_in_the_child(storage: StorageAdapter, path: Path):
    async def child() -> None:
        with pytest.raises(StorageError, match="fork"):
            await create_adapter("sqlite", str(path)).initialize()
        with pytest.raises(StorageError):
            await tx.save_workflow(a_workflow("child's"))
        with pytest.raises(StorageError):
            await tx.commit()
        other = path.with_name("other.db")
        async with create_adapter("sqlite", str(other)) as own:
            await own.save_workflow(a_workflow("w"))

    async with storage.transaction() as tx:
        await tx.save_workflow(a_workflow("parent's"))
        process = forked(child)
    assert await ended(process) == 0
    assert await storage.count_workflows() == 1


async def test_a_long_read_delays_a_fork_for_a_limited_time(path: Path, create_tuned: Callable[..., StorageAdapter]):
    storage = create_tuned(path, Tuning(max_fork_wait_s=0.05))
    await storage.initialize()
    begun, release = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        begun.set()
        assert release.wait(PATIENCE_S)

    async def child() -> None:
        with pytest.raises(StorageError, match="fork"):
            await create_adapter("sqlite", str(path)).initialize()

    reading = asyncio.create_task(storage._executor.submit(Call(Operation(hold, writes=False))))
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    process = forked(child)
    release.set()
    await reading
    assert await ended(process) == 0
    await storage.close()


async def test_closing_an_inherited_adapter_leaves_the_files_and_locks_of_the_parent(
    storage: StorageAdapter, path: Path
):
    await storage.save_workflow(a_workflow("before"))

    async def child() -> None:
        await storage.close()
        await storage.close()
        with pytest.raises(AdapterClosedError, match="fork"):
            await storage.initialize()

    before = {file.name: file.stat().st_ino for file in path.parent.iterdir()}
    assert await ended(forked(child)) == 0
    assert {file.name: file.stat().st_ino for file in path.parent.iterdir()} == before
    await storage.save_workflow(a_workflow("after"))
    assert await storage.count_workflows() == 2


async def test_an_adapter_that_was_closed_before_the_fork_may_be_opened_by_the_child(path: Path):
    storage = create_adapter("sqlite", str(path))
    async with storage:
        await storage.save_workflow(a_workflow("w"))

    async def child() -> None:
        async with storage:
            assert await storage.count_workflows() == 1

    assert await ended(forked(child)) == 0


async def test_a_forked_process_that_ends_in_the_ordinary_way_leaves_a_store_in_memory_alone():
    url = "file::memory:?cache=shared"
    async with create_adapter("sqlite", url) as storage:
        await storage.save_workflow(a_workflow("w"))

        def child() -> None:
            asyncio.run(asyncio.wait_for(storage.close(), PATIENCE_S))
            asyncio.run(of_its_own())

        async def of_its_own() -> None:
            async with create_adapter("sqlite", url) as own:
                assert await own.list_workflows() == []

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        await asyncio.to_thread(process.join, PATIENCE_S)
        assert process.exitcode == 0
        process.close()
        async with create_adapter("sqlite", url) as other:
            assert await other.count_workflows() == 1


async def test_a_lock_that_the_parent_held_does_not_hang_the_child(path: Path):
    async def child() -> None:
        for url in (str(path), "file::memory:?cache=shared"):
            async with create_adapter("sqlite", url) as own:
                await own.save_workflow(a_workflow("w"))

    with _memory_stores._lock:
        process = forked(child)
    assert await ended(process) == 0


ABANDONED = """
import asyncio, multiprocessing, sys
from aaow_storage import create_adapter

async def open_and_leave():
    storage = create_adapter("sqlite", "sqlite://")
    await storage.initialize()
    print(storage._executor._writer._settings.location.path.parent, flush=True)
    return storage

def leave():
    global kept
    kept = asyncio.run(open_and_leave())

if __name__ == "__main__" and sys.argv[1] == "process":
    leave()
elif __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=leave)
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("kind", ["process", "fork", "spawn"])
async def test_a_store_in_memory_is_gone_when_its_process_has_exited(tmp_path: Path, kind: str):
    script = tmp_path / "script.py"
    script.write_text(ABANDONED)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), kind, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, errors.decode()) == (0, "")
    assert not Path(out.decode().strip()).exists()
