"""What the maintenance of a store in MariaDB tells, checks and mends."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

import pytest
import pytest_asyncio

from aaow_storage import NotOfferedError, SchemaVersionError, StorageError, create_adapter, maintenance_of
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_conformance.data import samples
from aaow_storage_sql import HEAD, VERSION_TABLE

pytestmark = pytest.mark.asyncio


@pytest.fixture
def maintenance(url: str) -> StoreMaintenance:
    """The maintenance of the store in the database."""
    return maintenance_of(url)


@pytest_asyncio.fixture
async def filled(url: str) -> AsyncIterator[str]:
    """A closed store with some records."""
    async with create_adapter(url) as storage:
        for _ in range(5):
            session = await samples.stored_session(storage)
            await storage.save_execution_state(samples.a_state(session.id))
            await samples.stored_execution(storage, session.id)
    return url


async def test_an_empty_database_is_no_store(maintenance: StoreMaintenance):
    assert not await maintenance.exists()
    status = await maintenance.schema_status()
    assert (status.found, status.expected, status.pending) == (None, HEAD, ("the tables that are missing",))


async def test_a_missing_database_is_no_store(url: str):
    missing = urlunsplit(urlsplit(url)._replace(path="/nothing_like_it"))
    assert not await maintenance_of(missing).exists()
    with pytest.raises(StorageError, match="nothing_like_it"):
        await maintenance_of(missing).sizes()


async def test_tables_of_another_application_are_no_store(maintenance: StoreMaintenance, raw: Callable[..., list]):
    raw("CREATE TABLE sessions (x INT)")
    assert not await maintenance.exists()
    with pytest.raises(SchemaVersionError, match="another application"):
        await maintenance.schema_status()


async def test_a_store_exists_and_tells_the_size_of_each_table(filled: str, maintenance: StoreMaintenance):
    assert await maintenance.exists()
    sizes = await maintenance.sizes()
    assert {"sessions", "llm_executions", "aaow_commit_marks"} <= {each.name for each in sizes.tables}
    assert sizes.total_bytes == sum(each.table_bytes + each.index_bytes for each in sizes.tables) + sizes.free_bytes
    assert sizes.total_bytes > 100_000


async def test_what_may_lose_commits_is_a_warning(filled: str, maintenance: StoreMaintenance):
    told = await maintenance.durability()
    assert {"innodb_flush_log_at_trx_commit", "innodb_doublewrite", "wsrep_on"} <= set(told.settings)
    is_lossy = told.settings["innodb_flush_log_at_trx_commit"] != "1"
    assert any("innodb_flush_log_at_trx_commit" in each for each in told.warnings) is is_lossy
    assert any("no other server confirms commits" in each for each in told.warnings)


async def test_a_store_that_is_up_to_date_has_nothing_to_upgrade(filled: str, maintenance: StoreMaintenance):
    assert (await maintenance.schema_status()).is_current
    assert await maintenance.plan_upgrade() == ""
    assert await maintenance.copy_before_upgrade() is None


async def test_the_statements_of_a_plan_make_a_store(url: str, maintenance: StoreMaintenance, raw: Callable[..., list]):
    plan = await maintenance.plan_upgrade()
    assert not await maintenance.exists()
    for statement in plan.split(";\n"):
        if statement:
            raw(statement)
    assert (await maintenance.schema_status()).is_current
    async with create_adapter(url) as storage:
        session = await samples.stored_session(storage)
        assert await storage.get_session(session.id) == session


async def test_the_server_checks_all_tables_and_writes_them_anew(filled: str, maintenance: StoreMaintenance):
    assert await maintenance.check_integrity() == ()
    assert await maintenance.reclaim_space() <= (await maintenance.sizes()).total_bytes


async def test_a_document_that_no_record_needs_is_found_and_deleted(
    filled: str, maintenance: StoreMaintenance, raw: Callable[..., list]
):
    assert [each async for each in maintenance.check_records()] == []
    raw("INSERT INTO documents (digest, body) VALUES (UNHEX(SHA2('{\"a\":1}', 256)), '{\"a\":1}')")
    (found,) = [each async for each in maintenance.check_records(repair=True)]
    assert (found.code, found.is_repaired) == ("document-unused", True)
    assert [each async for each in maintenance.check_records()] == []


async def test_a_session_is_measured_and_trimmed(url: str, maintenance: StoreMaintenance):
    async with create_adapter(url) as storage:
        session = await samples.stored_session(storage)
        for _ in range(3):
            await samples.stored_execution(storage, session.id)
        sizes = await maintenance.measure_sessions([session.id])
        assert sizes[session.id].counts == {"session": 1, "llm_execution": 3}
        assert await maintenance.trim_session(session.id, 2) == 2
        assert len(await storage.get_llm_executions(session.id)) == 1


async def test_a_backup_of_its_own_is_not_offered(filled: str, maintenance: StoreMaintenance, tmp_path):
    with pytest.raises(NotOfferedError):
        await maintenance.backup(tmp_path / "backup")


async def test_the_status_of_an_unfinished_store_says_so(
    filled: str, maintenance: StoreMaintenance, raw: Callable[..., list]
):
    raw(f"UPDATE {VERSION_TABLE} SET version_num = 'installing {HEAD} ab12cd34'")
    status = await maintenance.schema_status()
    assert (status.pending, status.is_current) == (("the tables that are missing",), False)
    assert "-- the version" not in await maintenance.plan_upgrade()
