"""`initialize` while another session blocks it: its timeouts, its errors, and its cancellation."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from aaow_storage import LLMExecutionResult, Session, StorageAdapter, create_adapter
from aaow_storage.errors import AdapterClosedError, SchemaVersionError, StorageUnavailableError
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._indexes import LATER_INDEXES
from aaow_storage_postgresql._migration_lock import try_lock
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql.testing import Server
from aaow_storage_sql import VERSION_TABLE

pytestmark = pytest.mark.asyncio

SOON_S = 8.0
ENDS_WITHIN_S = 60.0
"""A revision that builds an index on the LLM executions afterwards, if there are some."""
WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'aaow-storage' AND wait_event_type = 'Lock'"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aaow-storage'"
INITIALIZE = """
import asyncio, signal, sys
from aaow_storage import create_adapter

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets its background jobs ignore it

async def main():
    asyncio.get_running_loop().call_later(1, lambda: print("waiting", flush=True))
    async with create_adapter(sys.argv[1]):
        print("open", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def settings(url: str) -> Settings:
    """The settings of connections to the database."""
    return Settings(url, schema="public")


@pytest.fixture
def holder(settings: Settings) -> Iterator[PostgreSQLConnection]:
    """A connection whose transaction holds the lock of migrations, of a database without a schema."""
    connection = connect(settings)
    connection.command("SET application_name = 'holder'")
    connection.begin_writing()
    assert try_lock(connection, settings)
    yield connection
    connection.driver_connection.close()


@pytest.fixture
def stuck(url: str) -> Iterator[psycopg.Connection]:
    """A connection that created the version table, and has not committed."""
    with closing(psycopg.connect(url)) as connection:
        connection.execute(f"CREATE TABLE {VERSION_TABLE} (version_num varchar(32) PRIMARY KEY)")
        yield connection


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.01)


async def cancel(initializing: asyncio.Task, times: int = 1) -> None:
    async with asyncio.timeout(SOON_S):
        for _ in range(times):
            initializing.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await initializing


async def assert_closed(adapter: StorageAdapter) -> None:
    with pytest.raises(AdapterClosedError):
        await adapter.count_sessions()


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_initialize_can_be_cancelled_while_it_waits_for_another_migration(
    url: str, holder: PostgreSQLConnection, raw: Callable[..., list[tuple]], times: int
):
    adapter = create_adapter(url, acquire_timeout=300)
    initializing = asyncio.create_task(adapter.initialize())
    await asyncio.sleep(0.2)
    await cancel(initializing, times)
    await assert_closed(adapter)
    await until(lambda: raw(SESSIONS) == [(0,)])
    holder.command("ROLLBACK")
    async with adapter:
        assert await adapter.count_sessions() == 0


@pytest.mark.parametrize("times", [1, 3])
async def test_initialize_can_be_cancelled_while_its_migration_waits_for_a_lock(
    url: str, stuck: psycopg.Connection, raw: Callable[..., list[tuple]], times: int
):
    adapter = create_adapter(url, acquire_timeout=300, statement_timeout=None)
    initializing = asyncio.create_task(adapter.initialize())
    await until(lambda: raw(WAITING))
    await cancel(initializing, times)
    await assert_closed(adapter)
    await until(lambda: raw(SESSIONS) == [(0,)])
    stuck.rollback()
    async with adapter:
        assert await adapter.count_sessions() == 0


async def test_initialize_can_be_cancelled_if_the_server_accepts_and_never_answers():
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        adapter = create_adapter(f"postgresql://someone@127.0.0.1:{port}/agents", connect_timeout=300)
        initializing = asyncio.create_task(adapter.initialize())
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await cancel(initializing, 2)
        assert time.monotonic() - began < 2
        await assert_closed(adapter)


async def test_initialize_can_be_cancelled_if_the_server_process_is_stopped(server: Server):
    server.create_database("agents")
    with (
        closing(psycopg.connect(server.url("agents"))) as stuck,
        closing(psycopg.connect(server.url("agents"), autocommit=True)) as watching,
    ):
        stuck.execute(f"CREATE TABLE {VERSION_TABLE} (version_num varchar(32) PRIMARY KEY)")
        adapter = create_adapter(server.url("agents"), acquire_timeout=300)
        initializing = asyncio.create_task(adapter.initialize())
        await until(lambda: watching.execute(WAITING).fetchall())
        ((pid,),) = watching.execute(WAITING).fetchall()
        os.kill(pid, signal.SIGSTOP)
        try:
            await cancel(initializing, 2)
            await assert_closed(adapter)
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
async def test_control_c_ends_a_program_that_waits_for_a_migration(url: str, stuck: psycopg.Connection):
    with subprocess.Popen(
        [sys.executable, "-c", INITIALIZE, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        try:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=ENDS_WITHIN_S)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


async def test_after_the_timeout_the_error_names_the_idle_process_that_holds_the_lock(
    url: str, holder: PostgreSQLConnection
):
    pid = holder.driver_connection.info.backend_pid
    adapter = create_adapter(url, acquire_timeout=0.3)
    with pytest.raises(StorageUnavailableError, match=rf"process {pid} \(idle in transaction\).*terminate_backend"):
        await asyncio.wait_for(adapter.initialize(), SOON_S)
    await assert_closed(adapter)


async def test_initialize_waits_longer_for_a_process_that_runs_its_migration(url: str, holder: PostgreSQLConnection):
    working = threading.Thread(target=lambda: (holder.command("SELECT pg_sleep(1.5)"), holder.command("ROLLBACK")))
    working.start()
    async with create_adapter(url, acquire_timeout=0.3) as adapter:
        assert await adapter.count_sessions() == 0
    working.join()


@pytest.mark.parametrize("statement_timeout", [0.5, None])
async def test_a_migration_that_waits_for_a_lock_fails_after_the_timeout(
    url: str, stuck: psycopg.Connection, statement_timeout: float | None
):
    adapter = create_adapter(url, acquire_timeout=0.5, statement_timeout=statement_timeout)
    with pytest.raises(StorageUnavailableError, match="another session holds the lock: pg_locks"):
        await asyncio.wait_for(adapter.initialize(), SOON_S)
    stuck.rollback()
    async with adapter:
        assert await adapter.count_sessions() == 0


async def test_a_locked_version_table_is_an_error_after_the_timeout(url: str, raw):
    async with create_adapter(url):
        pass
    with closing(psycopg.connect(url)) as connection:
        connection.execute(f"LOCK TABLE {VERSION_TABLE}")
        adapter = create_adapter(url, acquire_timeout=0.3, statement_timeout=None)
        with pytest.raises(StorageUnavailableError, match="another session holds the lock"):
            await asyncio.wait_for(adapter.initialize(), SOON_S)


async def test_an_index_that_waits_for_an_open_transaction_is_left_to_the_next_start(
    url: str, raw: Callable[..., list[tuple]], caplog: pytest.LogCaptureFixture
):
    async with create_adapter(url) as adapter:
        session = Session(workflow_id=None, workflow_snapshot={}, metadata={"user": "ada"})
        await adapter.create_session(session)
        await adapter.save_llm_execution(session.id, "draft", LLMExecutionResult())
    raw("DROP INDEX ix_llm_executions_timestamp_id")
    with closing(psycopg.connect(url)) as old:
        old.execute("UPDATE llm_executions SET text = 'later'")
        async with asyncio.timeout(2 * SOON_S), create_adapter(url, acquire_timeout=0.5) as adapter:
            assert await adapter.list_sessions() == [session]
    assert "the indexes ix_llm_executions_timestamp_id are not built" in caplog.text
    async with create_adapter(url):
        pass
    valid = raw("SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid")
    assert set(LATER_INDEXES) <= {name for (name,) in valid}


async def test_initialize_does_not_wait_for_indexes_that_another_process_builds(
    url: str, settings: Settings, holder: PostgreSQLConnection, raw: Callable[..., list[tuple]]
):
    holder.command("ROLLBACK")
    async with create_adapter(url) as adapter:
        await adapter.create_session(Session(workflow_id=None, workflow_snapshot={}))
    raw("DROP INDEX ix_sessions_metadata")
    holder.begin_writing()
    assert try_lock(holder, settings)
    async with asyncio.timeout(SOON_S), create_adapter(url, acquire_timeout=300) as adapter:
        assert await adapter.count_sessions() == 1
    assert raw("SELECT to_regclass('ix_sessions_metadata')") == [(None,)]


async def test_a_refused_migration_creates_no_schema(url: str, raw: Callable[..., list[tuple]]):
    found = "SELECT nspname FROM pg_namespace WHERE nspname = 'tenant'"
    with pytest.raises(SchemaVersionError, match="migrate=True"):
        await create_adapter(url, schema="tenant").initialize(migrate=False)
    assert raw(found) == []


@pytest.mark.parametrize("kind", ["TABLE sessions (mine integer)", "VIEW sessions AS SELECT 1 AS mine"])
async def test_a_schema_of_another_application_is_left_as_it_is(url: str, raw: Callable[..., list[tuple]], kind: str):
    raw(f"CREATE {kind}")
    with pytest.raises(SchemaVersionError, match="sessions are another application's"):
        await create_adapter(url).initialize()
    assert raw("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [("sessions",)]


async def test_a_role_that_owns_its_schema_need_not_create_schemas(url: str, raw: Callable[..., list[tuple]]):
    role = f"owner_{os.getpid()}"
    raw(f"CREATE ROLE {role} LOGIN")
    try:
        raw(f"CREATE SCHEMA tenant AUTHORIZATION {role}")
        as_role = psycopg.conninfo.make_conninfo(url, user=role)
        async with create_adapter("postgresql", as_role, schema="tenant") as adapter:
            assert await adapter.count_sessions() == 0
    finally:
        raw(f"DROP OWNED BY {role} CASCADE")
        raw(f"DROP ROLE {role}")


async def test_schemas_of_many_tenants_are_created_concurrently(url: str, raw: Callable[..., list[tuple]]):
    adapters = [create_adapter(url, schema=f"tenant {number}%", pool_size=2) for number in range(6)]
    await asyncio.gather(*(adapter.initialize() for adapter in adapters))
    for number, adapter in enumerate(adapters):
        await adapter.create_session(Session(id=f"{number}", workflow_id=None, workflow_snapshot={}))
        assert [session.id for session in await adapter.list_sessions()] == [f"{number}"]
    await asyncio.gather(*(adapter.close() for adapter in adapters))
    assert raw("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant _\\%'") == [(6,)]
