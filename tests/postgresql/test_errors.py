"""Errors of the server and the network are typed, say what to do, and never show the password."""

import asyncio
import traceback
from contextlib import closing
from contextvars import Context
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from aaow_storage import BudgetPool, StorageAdapter, create_adapter
from aaow_storage.errors import SchemaVersionError, StorageError, StorageUnavailableError
from aaow_storage_postgresql.testing import Server


async def error_of(url: str, **options: object) -> StorageError:
    adapter = create_adapter("postgresql", url, connect_timeout=2, acquire_timeout=2, **options)
    with pytest.raises(StorageError) as caught:
        async with adapter:
            pytest.fail("it was opened")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    return caught.value


def with_parts(url: str, **parts: str) -> str:
    return urlunsplit(urlsplit(url)._replace(**parts))


def execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.asyncio
async def test_a_server_that_is_down_is_unavailable():
    error = await error_of("postgresql://app:s3cret@127.0.0.1:1/agents")
    assert isinstance(error, StorageUnavailableError)
    assert "'agents' on 127.0.0.1" in str(error)


@pytest.mark.asyncio
async def test_a_wrong_password_is_not_retryable(server: Server):
    execute(server.url(), "CREATE ROLE app LOGIN PASSWORD 'right'")
    (server.data / "pg_hba.conf").write_text("host all app all scram-sha-256\nhost all all all trust\n")
    execute(server.url(), "SELECT pg_reload_conf()")
    port = urlsplit(server.url()).port
    error = await error_of(f"postgresql://app:s3cret@127.0.0.1:{port}/postgres")
    assert not isinstance(error, StorageUnavailableError)
    assert "check user and password" in str(error)


@pytest.mark.asyncio
async def test_an_unknown_database_is_not_retryable(url: str):
    error = await error_of(with_parts(url, path="/nowhere"))
    assert not isinstance(error, StorageUnavailableError)
    assert 'database "nowhere" does not exist' in str(error)


@pytest.mark.asyncio
async def test_a_missing_privilege_is_named(url: str):
    role = f"reader_{urlsplit(url).path[-12:]}"
    execute(url, f"CREATE ROLE {role} LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    try:
        port = urlsplit(url).port
        error = await error_of(with_parts(url, netloc=f"{role}@127.0.0.1:{port}"))
    finally:
        execute(url, f"DROP ROLE {role}")
    assert not isinstance(error, StorageUnavailableError)
    assert "permission denied" in str(error)


@pytest.mark.asyncio
async def test_a_role_that_may_not_create_tables_can_use_an_existing_store(storage: StorageAdapter, url: str):
    await storage.create_budget_pool(_pool(id="there"))
    role = f"app_{urlsplit(url).path[-12:]}"
    execute(
        url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
    )
    try:
        own = with_parts(url, netloc=f"{role}@127.0.0.1:{urlsplit(url).port}")
        adapter = create_adapter("postgresql", own)
        await adapter.initialize(migrate=False)
        await adapter.consume_budget("there", 1)
        assert [pool.used_budget for pool in await adapter.list_budget_pools()] == [1]
        async with adapter.transaction() as transaction:
            await transaction.delete_budget_pool("there")
        await adapter.close()
    finally:
        execute(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.asyncio
async def test_a_database_of_another_encoding_is_refused(server: Server):
    execute(server.url(), "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert "create it with the encoding UTF8" in str(await error_of(server.url("latin")))


@pytest.mark.asyncio
async def test_writing_to_a_standby_is_retryable_since_it_may_be_promoted(storage: StorageAdapter, url: str):
    del storage
    execute(url, f'ALTER DATABASE "{urlsplit(url).path[1:]}" SET default_transaction_read_only = on')
    async with create_adapter("postgresql", url) as adapter:
        assert await adapter.list_sessions() == []
        with pytest.raises(StorageUnavailableError, match="read-only"):
            await adapter.create_budget_pool(_pool())


@pytest.mark.asyncio
async def test_a_schema_of_a_newer_release_is_refused_untouched(storage: StorageAdapter, url: str):
    del storage
    execute(url, "UPDATE aaow_schema_version SET version_num = '9999'")
    assert isinstance(await error_of(url), SchemaVersionError)


@pytest.mark.asyncio
async def test_an_operation_waits_for_a_connection_for_acquire_timeout_at_most(url: str):
    async with create_adapter("postgresql", url, pool_size=2, acquire_timeout=0.2) as adapter:
        async with adapter.transaction() as transaction:
            await transaction.create_budget_pool(_pool(id="held"))
            with pytest.raises(StorageUnavailableError, match="raise pool_size or acquire_timeout"):
                await asyncio.create_task(adapter.create_budget_pool(_pool()), context=Context())
        await adapter.create_budget_pool(_pool())


@pytest.mark.asyncio
async def test_a_statement_ends_after_statement_timeout(url: str):
    async with create_adapter("postgresql", url, statement_timeout=0.2) as adapter:
        async with adapter.transaction() as transaction:
            await transaction.create_budget_pool(_pool(id="held"))
            with pytest.raises(StorageUnavailableError, match="statement timeout"):
                await asyncio.create_task(adapter.create_budget_pool(_pool(id="held")), context=Context())
        assert [pool.id for pool in await adapter.list_budget_pools()] == ["held"]


def _pool(**fields: object) -> BudgetPool:
    return BudgetPool(total_budget=1, **fields)
