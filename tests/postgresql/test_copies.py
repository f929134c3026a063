"""Copies of a migrated database that several tests use, one after the other."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from aaow_storage import create_adapter
from aaow_storage_conformance.data.samples import stored_session
from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_postgresql.testing._copies import MAX_DELETED_ROWS, MAX_USES, Copies

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def migrated() -> Iterator[str]:
    """The URL of a store that is migrated."""

    async def initialize(url: str) -> None:
        async with create_adapter("postgresql", url):
            pass

    with skipped_where_missing(), temporary_database() as url:
        asyncio.run(initialize(url))
        yield url


@pytest.fixture
def copies(migrated: str) -> Iterator[Copies]:
    """Copies of the store."""
    with closing(Copies(migrated)) as made:
        yield made


def run(url: str, statement: str) -> list[tuple]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


async def test_a_copy_is_used_again_without_the_records_and_changes_of_the_test_before(copies: Copies):
    with copies.one() as first:
        async with create_adapter("postgresql", first) as adapter:
            await stored_session(adapter)
            assert run(first, "SELECT min(position) FROM changes") == [(1,)]
    with copies.one() as second:
        assert second == first
        for table in ("sessions", "documents", "changes"):
            assert run(second, f"SELECT count(*) FROM {table}") == [(0,)]
        async with create_adapter("postgresql", second) as adapter:
            await stored_session(adapter)
            assert run(second, "SELECT min(position) FROM changes") == [(1,)]


async def test_a_session_that_is_left_is_ended_before_a_copy_is_used_again(copies: Copies):
    with copies.one() as first:
        left = psycopg.connect(first)
        left.execute("INSERT INTO documents VALUES ('left', '{}')")
    with copies.one() as second:
        assert second == first
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
        assert run(second, "SELECT count(*) FROM documents") == [(0,)]
    left.close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE another (number integer)",
        "ALTER TABLE sessions ADD COLUMN another integer",
        "ALTER TABLE sessions ALTER COLUMN status SET DEFAULT 'running'",
        "ALTER TABLE sessions DROP CONSTRAINT ck_sessions_status",
        "ALTER TABLE sessions DISABLE TRIGGER ALL",
        "DROP INDEX ix_sessions_metadata",
        "CREATE FUNCTION another() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA another",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
        "UPDATE aaow_schema_version SET version_num = 'later'",
        "UPDATE change_feed SET is_recording = false",
        f"INSERT INTO documents SELECT number::text::bytea, '' FROM generate_series(0, {MAX_DELETED_ROWS}) AS number",
    ],
)
async def test_a_copy_that_is_not_as_it_was_made_is_dropped(copies: Copies, change: str):
    with copies.one() as first:
        run(first, change)
    with copies.one() as second:
        assert second != first
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)


async def test_a_copy_is_dropped_when_many_tests_have_used_it_or_none_follows(copies: Copies):
    used = []
    for _ in range(MAX_USES + 1):
        with copies.one() as url:
            used.append(url)
    assert used[:-1] == [used[0]] * MAX_USES
    assert used[-1] != used[0]
    copies.close()
    for url in {*used}:
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(url)
