"""Opening a store: what is created, what is set, and what is refused, with the path in the message."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import Capability, Session, StorageAdapter, create_adapter
from aaow_storage.errors import (
    CorruptDataError,
    SchemaVersionError,
    StorageError,
    StorageUnavailableError,
    ValidationError,
)
from aaow_storage_sql import HEAD, VERSION_TABLE, SQLConnection
from aaow_storage_sql._statements.select import compiled_list
from aaow_storage_sqlite import _connections, _memory_stores
from aaow_storage_sqlite._index_paths import parse_index_path
from aaow_storage_sqlite._indexes import create_indexes
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._upgrade import upgrade, version

pytestmark = pytest.mark.asyncio


async def opened(url: Path | str, **options) -> None:
    async with create_adapter("sqlite", str(url), **options):
        pass


async def test_stores_share_compiled_queries(tmp_path: Path):
    for name in ("one", "another"):
        before = compiled_list.cache_info().misses
        async with create_adapter("sqlite", str(tmp_path / name)) as storage:
            assert await storage.list_workflows() == []
    assert compiled_list.cache_info().misses == before


async def test_missing_folders_are_created(tmp_path: Path):
    await opened(tmp_path / "a" / "b" / "store.db")
    assert (tmp_path / "a" / "b" / "store.db").is_file()


async def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path):
    with pytest.raises(ValidationError, match=str(tmp_path)):
        await opened(tmp_path)


async def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailableError, match=str(tmp_path / "file")):
        await opened(tmp_path / "file" / "store.db")


async def test_a_path_that_cannot_be_written_is_named():
    # Not even root can create a file there.
    with pytest.raises(StorageUnavailableError, match=r"/proc/store\.db"):
        await opened("/proc/store.db")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on open files")
async def test_opening_without_spare_descriptors_is_refused_and_leaves_none_open(path: Path):
    await opened(path)
    program = """
import asyncio, os, resource, sys, threading
from aaow_storage import create_adapter
from aaow_storage.errors import StorageUnavailableError

async def outcome_with(spare):
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while True:
            held.append(os.dup(held[0]))
    except OSError:
        for number in held[len(held) - spare:]:
            os.close(number)
    try:
        async with create_adapter("sqlite", sys.argv[1]):
            return "opened"
    except StorageUnavailableError:
        return "refused"
    finally:
        for number in held[:len(held) - spare]:
            os.close(number)

async def main():
    async with create_adapter("sqlite", sys.argv[1]):
        pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    before = len(os.listdir("/dev/fd"))
    outcomes = [await outcome_with(spare) for spare in range(16)]
    assert not any(thread.name.startswith("aaow-") for thread in threading.enumerate())
    assert len(os.listdir("/dev/fd")) == before
    assert outcomes == sorted(outcomes, reverse=True), outcomes
    print(*sorted(set(outcomes)))

asyncio.run(main())
"""
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("opened refused\n", "")


async def test_mode_rw_does_not_create_a_file(path: Path):
    with pytest.raises(ValidationError, match="does not exist"):
        await opened(f"file:{path}?mode=rw")
    assert not path.exists()


@pytest.mark.parametrize("content", [b"hello, this is no database" * 100, bytes(range(256)) * 64])
async def test_a_file_that_is_no_database_or_is_encrypted_is_refused_and_unchanged(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match=f"{path} is not a SQLite database, or is encrypted"):
        await opened(path)
    assert path.read_bytes() == content


async def test_a_store_of_a_newer_release_is_refused_and_unchanged(path: Path, raw):
    await opened(path)
    raw(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    before = path.read_bytes()
    for migrate in (True, False):
        with pytest.raises(SchemaVersionError, match="9999") as caught:
            await create_adapter("sqlite", str(path)).initialize(migrate=migrate)
        assert (caught.value.found, caught.value.expected) == ("9999", HEAD)
    assert path.read_bytes() == before


async def test_tables_of_another_application_with_names_of_ours_are_refused(path: Path, raw):
    raw("CREATE TABLE sessions (mine)")
    with pytest.raises(SchemaVersionError, match="sessions are another application's"):
        await opened(path)
    assert raw("SELECT name FROM sqlite_master") == [("sessions",)]


async def test_other_tables_of_another_application_are_unchanged(path: Path, raw):
    raw("CREATE TABLE customers (mine)")
    await opened(path)
    assert raw("SELECT sql FROM sqlite_master WHERE name = 'customers'") == [("CREATE TABLE customers (mine)",)]


async def test_a_failed_migration_raises_a_storage_error_and_leaves_the_store_as_it_was(path: Path, raw):
    await opened(path)
    raw(f"UPDATE {VERSION_TABLE} SET version_num = '0002'")
    before = raw("SELECT name, sql FROM sqlite_master ORDER BY name")
    with pytest.raises(StorageError, match="table stream_events already exists") as caught:
        await opened(path)
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert raw("SELECT name, sql FROM sqlite_master ORDER BY name") == before


class LockedAtFirst(SQLConnection):
    """A connection that twice meets another process that rebuilds the index of the log."""

    refused = 0

    def _execute(self, *arguments) -> Any:
        if self.refused < 2:
            self.refused += 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
            raise self.dialect.translate(error) from error
        return super()._execute(*arguments)


async def test_opening_waits_for_a_process_that_rebuilds_the_index_of_the_log(path: Path):
    settings = Settings(Location(path), Synchronous.FULL, busy_timeout=10)
    opened = _connections.open_writer(settings)
    with closing(opened.driver_connection) as driver:
        connection = LockedAtFirst(driver, opened.dialect)
        upgrade(connection, 10, migrate=True)
        assert (connection.refused, version(connection)) == (2, HEAD)
        connection.refused = 0
        create_indexes(connection, [parse_index_path("Session.metadata.user")], 10)
        assert connection.refused == 2


async def test_an_older_sqlite_library_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_connections.sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(StorageError, match=r"3\.37\.0 or later is needed"):
        await opened(path)
    assert not path.exists()


@pytest.mark.parametrize(("option", "level"), [("FULL", 2), ("normal", 1)])
async def test_commits_are_as_durable_as_asked_for(path: Path, option: str, level: int):
    async with create_adapter("sqlite", str(path), synchronous=option) as storage:
        connection = storage._executor._writer._connection
        assert connection.command("PRAGMA synchronous") == (level,)
        assert connection.command("PRAGMA journal_mode") == ("wal",)
        assert connection.command("PRAGMA foreign_keys") == (1,)


async def test_a_store_in_memory_claims_no_durability_and_is_gone_when_closed():
    async with create_adapter("sqlite", "sqlite://") as storage:
        assert storage.capabilities == {Capability.STREAM_EVENTS, Capability.CHANGES, Capability.WRITERS_WAIT}
        await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
        ((folder, _),) = _memory_stores._folders.values()
    assert not folder.path.exists()
    async with storage:
        assert await storage.count_sessions() == 0


async def test_the_memory_store_of_a_killed_process_is_removed_by_the_next(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(_memory_stores, "_MEMORY_FILE_SYSTEM", tmp_path)
    script = f"""
import asyncio, os, pathlib, signal
from aaow_storage import create_adapter
from aaow_storage_sqlite import _memory_stores

async def main():
    _memory_stores._MEMORY_FILE_SYSTEM = pathlib.Path({str(tmp_path)!r})
    await create_adapter("sqlite://").initialize()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    async with create_adapter("sqlite://") as first, create_adapter("sqlite://") as second:
        assert not left.exists()
        assert await first.list_sessions() == await second.list_sessions() == []
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


async def test_shared_memory_lasts_until_its_last_adapter_closes():
    url = "file:team?mode=memory&cache=shared"
    async with create_adapter(url) as one:
        await one.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        async with create_adapter(url) as other:
            assert await other.get_session("s") is not None
        assert await one.get_session("s") is not None
    async with create_adapter(url) as later:
        assert await later.get_session("s") is None


async def test_closing_leaves_one_file(storage: StorageAdapter, path: Path):
    await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
    await storage.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_opening_an_upgraded_store_does_not_import_alembic(path: Path):
    await opened(path)
    program = (
        "import asyncio, sys; from aaow_storage import open_adapter\n"
        "async def main():\n"
        "    async with open_adapter(sys.argv[1]) as storage: await storage.count_sessions()\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program, f"file:{path}"], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


async def test_the_tables_are_readable_with_plain_sql(storage: StorageAdapter, raw):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={"nodes": []}, metadata={"n": 1}))
    query = (
        "SELECT date(s.created_at / 1000000, 'unixepoch') = date('now'), s.metadata ->> 'n', d.body"
        " FROM sessions s JOIN documents d ON d.digest = s.snapshot_digest"
    )
    assert raw(query) == [(1, 1, '{"nodes":[]}')]


async def test_the_standard_library_has_a_new_enough_sqlite():
    assert sqlite3.sqlite_version_info >= _connections.MIN_SQLITE_VERSION


@pytest.mark.parametrize(
    "foreign",
    [
        'CREATE TABLE "Sessions" (id)',
        'CREATE TABLE "WORKFLOWS" (id)',
        'CREATE VIEW "Stream_Events" AS SELECT 1',
        'CREATE INDEX "Budget_Pools" ON theirs (id)',
    ],
)
async def test_a_name_of_ours_in_another_case_is_refused(foreign: str, tmp_path: Path):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
        connection.execute(foreign)
    with pytest.raises(SchemaVersionError, match="another application's"):
        await opened(path)
