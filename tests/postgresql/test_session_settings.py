"""Session settings of roles, databases and environment variables do not affect the backend."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from aaow_storage import BudgetPool, QueryFilter, Session, StorageAdapter, StoredWorkflow, create_adapter
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql import _connect
from aaow_storage_postgresql.testing import (
    HOSTILE_ENVIRONMENT,
    Server,
    hostile_url,
    private_server,
    skipped_where_missing,
)

PLUGINS = Path(__file__).parent / "plugins"
ONE_STORE_PER_SCHEMA = "SELECT schemaname FROM pg_tables WHERE tablename = 'aaow_schema_version'"
TEXT = "naïve café 東京 \N{GRINNING FACE} back\\slash 'quoted'"


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """A server for all tests of this module, since roles belong to the whole server."""
    with skipped_where_missing(), private_server() as started:
        yield started


@pytest.fixture
def usual(shared: Server) -> Iterator[str]:
    """The URL of an empty database, as the owner of the server."""
    name = f"settings_{time.monotonic_ns()}"
    shared.create_database(name)
    yield shared.url(name)
    shared.drop_database(name)


@pytest.fixture
def hostile(shared: Server, usual: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the same database for the hostile role, in a process with hostile environment variables."""
    url = hostile_url(shared.url(), urlsplit(usual).path[1:])
    for variable, value in HOSTILE_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    return url


async def check(storage: StorageAdapter) -> None:
    """Store and find records that wrong settings would damage."""
    session = Session(workflow_id=None, workflow_snapshot={"text": TEXT}, metadata={TEXT: TEXT})
    await storage.create_session(session)
    assert await storage.get_session(session.id) == session
    assert await storage.list_sessions(QueryFilter({("metadata", TEXT): TEXT})) == [session]
    async with storage.transaction() as transaction:
        await asyncio.sleep(0.2)
        await transaction.create_budget_pool(BudgetPool(id=session.id, total_budget=1))
        waiting = asyncio.create_task(
            storage.create_budget_pool(BudgetPool(id=session.id, total_budget=1)), context=Context()
        )
        await asyncio.sleep(0.6)
        assert not waiting.done()
    with pytest.raises(StorageError, match="exists"):
        await waiting


@pytest.mark.asyncio
async def test_settings_of_a_role_and_a_process_have_no_effect(hostile: str):
    async with create_adapter("postgresql", hostile) as storage:
        await check(storage)


@pytest.mark.asyncio
async def test_a_store_is_found_in_any_schema_of_the_search_path(
    hostile: str, usual: str, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as plain:
        for variable in HOSTILE_ENVIRONMENT:
            plain.delenv(variable)
        async with create_adapter("postgresql", usual) as storage:
            await storage.save_workflow(StoredWorkflow(id="w", name="w", version="1", definition={}))
    with psycopg.connect(usual, autocommit=True) as connection:
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO hostile")
    async with create_adapter("postgresql", hostile) as storage:
        assert await storage.get_workflow("w") is not None
    with psycopg.connect(usual) as connection:
        assert connection.execute(ONE_STORE_PER_SCHEMA).fetchall() == [("public",)]


@pytest.mark.asyncio
async def test_an_open_adapter_keeps_its_schema_if_the_search_path_changes(usual: str):
    async with create_adapter("postgresql", usual) as storage:
        await storage.create_budget_pool(BudgetPool(id="there", total_budget=1))
        with psycopg.connect(usual, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA elsewhere")
            connection.execute(f"ALTER DATABASE {urlsplit(usual).path[1:]} SET search_path = elsewhere, public")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        pools = await asyncio.gather(*(storage.list_budget_pools() for _ in range(8)), storage.list_budget_pools())
        assert {pool.id for each in pools for pool in each} == {"there"}
        await storage.consume_budget("there", 1)


@pytest.mark.asyncio
async def test_a_search_path_without_a_schema_is_an_error_with_the_remedy(usual: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGOPTIONS", "-c search_path=nowhere")
    with pytest.raises(StorageError, match="name one with the option schema"):
        await create_adapter("postgresql", usual).initialize()


@pytest.mark.asyncio
async def test_a_schema_name_is_quoted_in_the_search_path(usual: str):
    with psycopg.connect(usual, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "Odd ""Name"" 100%"')
    parts = urlsplit(usual)
    url = urlunsplit(parts._replace(query="options=-csearch_path%3D%22Odd%5C%20%22%22Name%22%22%5C%20100%25%22"))
    async with create_adapter("postgresql", url) as storage:
        await check(storage)
    with psycopg.connect(usual) as connection:
        assert connection.execute(ONE_STORE_PER_SCHEMA).fetchall() == [('Odd "Name" 100%',)]


@pytest.mark.asyncio
@pytest.mark.parametrize("lent", [False, True], ids=["operation", "transaction"])
async def test_without_the_option_statement_timeout_the_servers_applies(usual: str, lent: bool):
    async with create_adapter("postgresql", usual) as storage:
        await storage.create_budget_pool(BudgetPool(id="p", total_budget=1))
    with psycopg.connect(usual, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {urlsplit(usual).path[1:]} SET statement_timeout = '300ms'")
    with psycopg.connect(usual) as holding:
        holding.execute("SET statement_timeout = 0")
        holding.execute("LOCK TABLE budget_pools IN ACCESS EXCLUSIVE MODE")
        async with create_adapter("postgresql", usual, statement_timeout=None) as storage:
            began = time.monotonic()
            with pytest.raises(StorageUnavailableError, match="statement timeout"):
                await (consume_in_transaction(storage) if lent else storage.consume_budget("p", 1))
            assert time.monotonic() - began < 5


async def consume_in_transaction(storage: StorageAdapter) -> None:
    async with storage.transaction() as transaction:
        await transaction.consume_budget("p", 1)


@pytest.mark.asyncio
async def test_the_option_statement_timeout_overrides_a_shorter_one_of_the_server(usual: str):
    async with create_adapter("postgresql", usual) as storage:
        await storage.create_budget_pool(BudgetPool(id="p", total_budget=1))
    with psycopg.connect(usual, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {urlsplit(usual).path[1:]} SET statement_timeout = '100ms'")
    holding = psycopg.connect(usual)
    holding.execute("LOCK TABLE budget_pools IN ACCESS EXCLUSIVE MODE")
    async with create_adapter("postgresql", usual) as storage:
        threading.Timer(0.5, holding.close).start()
        assert (await storage.consume_budget("p", 1)).used_budget == 1


@pytest.mark.parametrize(("losses", "is_opened"), [(4, True), (5, False)])
def test_a_connection_that_is_lost_before_its_first_use_is_opened_again_several_times(
    monkeypatch: pytest.MonkeyPatch, losses: int, is_opened: bool
):
    attempts = []

    def lose_some(*arguments: object) -> object:
        attempts.append(arguments)
        if len(attempts) <= losses:
            raise _connect._LostBeforeUseError("the server closed the connection")
        return "a connection"

    monkeypatch.setattr(_connect, "_connect", lose_some)
    if is_opened:
        assert _connect.connect(None) == "a connection"
    else:
        with pytest.raises(StorageUnavailableError, match="closed the connection"):
            _connect.connect(None)
    assert len(attempts) == 5


@pytest.mark.slow(seconds=100)
def test_the_conformance_suite_passes_for_a_hostile_role(shared: Server):
    del shared
    command = [sys.executable, "-m", "pytest", "--pyargs", "aaow_storage_conformance", "-p", "as_hostile_role",
               "--storage-backend=postgresql", "-m", "not slow", "--numprocesses=2", "-q", "-p", "no:cacheprovider",
               ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
