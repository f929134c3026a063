"""Initializing while another connection holds a lock, or others initialize: it ends soon if it is cancelled."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage import StoredWorkflow, create_adapter
from aaow_storage.errors import AdapterClosedError, StorageUnavailableError
from aaow_storage_sql import HEAD, SQLConnection
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._settings import parse_settings
from aaow_storage_sqlite._upgrade import version

pytestmark = pytest.mark.asyncio

SOON_S = 5.0
ENDS_WITHIN_S = 60.0
WAIT_FOR_A_LOCK = """
import asyncio, signal, sys
from aaow_storage import create_adapter

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it

async def main():
    adapter = create_adapter("sqlite", sys.argv[1], busy_timeout=300)
    asyncio.get_running_loop().call_later(0.3, lambda: print("waiting", flush=True))
    async with adapter:
        print("open", flush=True)

asyncio.run(main())
"""
MANY_AT_ONCE = """
import asyncio, sys, threading
from aaow_storage import create_adapter

async def open_some(first):
    adapters = [create_adapter("sqlite", f"{sys.argv[1]}/{first + number}.db") for number in range(4)]
    await asyncio.gather(*(adapter.initialize() for adapter in adapters))
    for adapter in adapters:
        assert await adapter.count_workflows() == 0
    await asyncio.gather(*(adapter.close() for adapter in adapters))
    print("opened")

threads = [threading.Thread(target=asyncio.run, args=(open_some(4 * n),)) for n in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.fixture(params=["EXCLUSIVE", "IMMEDIATE"])
def locked(path: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """Another connection that holds a lock on the file, which has no schema yet."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("CREATE TABLE mine (a)")
        holder.execute(f"BEGIN {request.param}")
        holder.execute("INSERT INTO mine VALUES (1)")
        yield holder


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_cancelled_initializing_during_a_lock_ends_soon_and_leaves_the_adapter_closed(
    path: Path, locked: sqlite3.Connection, times: int
):
    adapter = create_adapter("sqlite", str(path), busy_timeout=300)
    initializing = asyncio.create_task(adapter.initialize())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(SOON_S):
        for _ in range(times):
            initializing.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await initializing
    with pytest.raises(AdapterClosedError):
        await adapter.count_workflows()
    locked.execute("ROLLBACK")
    async with adapter:
        await adapter.save_workflow(StoredWorkflow(name="n", version="1", definition={}))


async def test_initializing_during_a_lock_ends_after_the_busy_timeout(path: Path, locked: sqlite3.Connection):
    began = time.monotonic()
    with pytest.raises(StorageUnavailableError, match=r"waited 0\.2 s"):
        await create_adapter("sqlite", str(path), busy_timeout=0.2).initialize()
    assert time.monotonic() - began < SOON_S


async def test_a_long_statement_of_initializing_is_interrupted(path: Path, monkeypatch: pytest.MonkeyPatch):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    monkeypatch.setattr(
        "aaow_storage_sqlite._open_store.indexing.create_indexes", lambda connection, *_: connection.command(endless)
    )
    adapter = create_adapter("sqlite", str(path), indexes=["Session.metadata.user"])
    async with asyncio.timeout(SOON_S):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(adapter.initialize(), 0.5)
    monkeypatch.undo()
    async with adapter:
        assert await adapter.count_workflows() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
async def test_control_c_ends_a_program_that_waits_for_a_lock(path: Path, locked: sqlite3.Connection):
    with subprocess.Popen(
        [sys.executable, "-c", WAIT_FOR_A_LOCK, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        try:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=ENDS_WITHIN_S)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


async def test_many_new_stores_are_opened_at_once_by_tasks_and_threads_of_one_process(tmp_path: Path):
    run = subprocess.run(
        [sys.executable, "-c", MANY_AT_ONCE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.count("opened"), run.stderr) == (0, 3, "")


async def test_tables_that_another_process_makes_between_two_statements_are_not_foreign(path: Path):
    async def make() -> None:
        async with create_adapter("sqlite", str(path)):
            pass

    class MadeMeanwhile:
        """A connection to an empty store, whose tables are made after the first statement."""

        def __init__(self, connection: SQLConnection) -> None:
            self.connection = connection
            self.statements = 0

        def command(self, text: str) -> tuple | None:
            row = self.connection.command(text)
            self.statements += 1
            if self.statements == 1:
                asyncio.run(make())
            return row

    def find_version() -> str | None:
        connection = open_writer(parse_settings(str(path)))
        try:
            return version(MadeMeanwhile(connection))
        finally:
            connection.close()

    assert await asyncio.to_thread(find_version) == HEAD
