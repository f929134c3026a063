"""What the maintenance of a SQLite store tells, copies and puts back."""

import asyncio
import random
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from aaow_storage import (
    ConflictError,
    CorruptDataError,
    SchemaVersionError,
    Session,
    StorageAdapter,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    create_adapter,
    maintenance_of,
)
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_conformance.data import samples
from aaow_storage_sql import HEAD, REVISIONS
from aaow_storage_sqlite import _backups, _file_systems
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._settings import parse_settings
from aaow_storage_sqlite._upgrade import migrate_store

pytestmark = pytest.mark.asyncio

PATIENCE_S = 10.0


@pytest.fixture
def maintenance(path: Path) -> StoreMaintenance:
    """The maintenance of the store at the path."""
    return maintenance_of("sqlite", str(path))


@pytest_asyncio.fixture
async def filled(path: Path) -> AsyncIterator[Path]:
    """A closed store with some records."""
    async with create_adapter("sqlite", str(path)) as storage:
        for _ in range(20):
            session = await samples.stored_session(storage)
            await storage.save_execution_state(samples.a_state(session.id))
            await samples.stored_execution(storage, session.id)
    return path


def schema_at(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def set_revision(path: Path, revision: str) -> None:
    connection = open_writer(parse_settings(str(path)))
    migrate_store(connection, revision, 1.0)
    connection.close()


async def sessions_at(path: Path) -> set[str]:
    async with create_adapter("sqlite", str(path)) as storage:
        return {each.id for each in await storage.list_sessions()}


# ----------------------------------------------------------------------------------------------------------- looking


async def test_a_missing_file_is_no_store_and_is_not_created(path: Path, maintenance: StoreMaintenance):
    assert not await maintenance.exists()
    with pytest.raises(StorageUnavailableError, match="no such file"):
        await maintenance.sizes()
    assert not path.exists()


async def test_an_empty_database_is_no_store(path: Path, maintenance: StoreMaintenance):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    assert not await maintenance.exists()


async def test_a_store_exists_and_tells_the_size_of_each_table(filled: Path, maintenance: StoreMaintenance):
    assert await maintenance.exists()
    sizes = await maintenance.sizes()
    assert sizes.total_bytes >= filled.stat().st_size
    assert {"sessions", "llm_executions"} <= {each.name for each in sizes.tables}
    assert sum(each.table_bytes + each.index_bytes for each in sizes.tables) <= sizes.total_bytes


async def test_looking_at_a_store_changes_no_byte_of_it(filled: Path, maintenance: StoreMaintenance):
    before = filled.read_bytes()
    await maintenance.sizes()
    await maintenance.durability()
    await maintenance.schema_status()
    await maintenance.plan_upgrade()
    await maintenance.check_integrity()
    assert filled.read_bytes() == before


async def test_a_store_with_all_defaults_has_no_warning(filled: Path, maintenance: StoreMaintenance):
    told = await maintenance.durability()
    assert told.settings["journal_mode"] == "wal"
    assert told.settings["synchronous"] == "FULL"
    assert told.warnings == ()


async def test_what_may_lose_commits_is_a_warning(filled: Path, monkeypatch: pytest.MonkeyPatch):
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    set_mount(monkeypatch, filled.parent, "nfs4")
    told = await maintenance_of("sqlite", str(filled), synchronous="NORMAL").durability()
    assert [each.split()[0:3] for each in told.warnings] == [
        ["the", "journal", "mode"],
        ["synchronous", "is", "NORMAL:"],
        ["the", "file", "is"],
    ]


def set_mount(monkeypatch: pytest.MonkeyPatch, folder: Path, kind: str) -> None:
    table = folder / "mountinfo"
    escaped = str(folder).replace(" ", r"\040")
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:9 / {escaped} rw shared:1 - {kind} host:/x rw\n")
    monkeypatch.setattr(_file_systems, "_MOUNTS", table)


@pytest.mark.parametrize("kind", ["nfs", "cifs", "fuse.sshfs", "9p"])
async def test_a_file_system_of_another_machine_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    folder = tmp_path / "a folder"
    folder.mkdir()
    set_mount(monkeypatch, folder, kind)
    assert _file_systems.file_system_of(folder / "deep" / "x.db") == kind
    assert _file_systems.is_of_another_machine(kind)
    assert _file_systems.file_system_of(tmp_path / "x.db") == "ext4"


# ---------------------------------------------------------------------------------------------------------- upgrades


async def test_a_store_that_is_up_to_date_has_nothing_to_upgrade(filled: Path, maintenance: StoreMaintenance):
    status = await maintenance.schema_status()
    assert status.is_current
    assert status.pending == ()
    assert await maintenance.plan_upgrade() == ""


async def test_the_steps_of_an_older_store_are_named(filled: Path, maintenance: StoreMaintenance):
    set_revision(filled, "0009")
    status = await maintenance.schema_status()
    assert (status.found, status.expected, status.is_current) == ("0009", HEAD, False)
    assert status.pending[0] == "0010: The change feed."
    assert len(status.pending) == len(REVISIONS) - 9


@pytest.mark.parametrize("revision", ["0001", "0005", "0008", REVISIONS[-2]])
async def test_the_statements_of_a_plan_make_the_schema_of_an_upgrade(
    filled: Path, maintenance: StoreMaintenance, tmp_path: Path, revision: str
):
    set_revision(filled, revision)
    plan = await maintenance.plan_upgrade()
    assert (await maintenance.schema_status()).found == revision
    by_hand = tmp_path / "by-hand.db"
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("VACUUM INTO ?", (str(by_hand),))
    with closing(sqlite3.connect(by_hand, isolation_level=None)) as connection:
        connection.create_function("aaow_converted", 3, lambda key, field, text: text)
        connection.execute("DELETE FROM budget_pools") if revision > "0001" else None
        connection.executescript(f"BEGIN; {plan} COMMIT;")
    async with create_adapter("sqlite", str(filled)):
        pass
    assert schema_at(by_hand) == schema_at(filled)
    assert not await maintenance_of("sqlite", str(by_hand)).plan_upgrade()


async def test_a_store_of_a_later_release_is_newer_and_has_no_plan(filled: Path, maintenance: StoreMaintenance):
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE aaow_schema_version SET version_num = '9999'")
    status = await maintenance.schema_status()
    assert status.is_newer
    assert not status.is_current
    with pytest.raises(SchemaVersionError):
        await maintenance.plan_upgrade()


async def test_a_copy_before_an_upgrade_is_the_old_store(filled: Path, maintenance: StoreMaintenance):
    set_revision(filled, "0009")
    copy = await maintenance.copy_before_upgrade()
    assert copy is not None
    assert Path(copy).parent == filled.parent
    assert (await maintenance_of("sqlite", copy).schema_status()).found == "0009"
    assert await sessions_at(Path(copy)) == await sessions_at(filled)


# ----------------------------------------------------------------------------------------------------------- backups


async def test_a_backup_has_what_the_store_has(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    steps: list[tuple[int, int | None]] = []
    made = tmp_path / "made.db"
    content = await maintenance.backup(made, lambda done, total: steps.append((done, total)))
    assert content.format == "sqlite"
    assert content.schema_version == HEAD
    assert content.rows["sessions"] == 20
    assert steps[-1][0] == steps[-1][1] == made.stat().st_size
    assert await maintenance.verify(made) == content
    assert await sessions_at(made) == await sessions_at(filled)


async def test_a_backup_during_writes_has_all_that_was_acknowledged_before_it_began(
    path: Path, maintenance: StoreMaintenance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_backups, "_STEP_BYTES", 8192)  # many steps, between which others write
    async with create_adapter("sqlite", str(path)) as storage:
        workflow = await samples.stored_workflow(storage)
        acknowledged: list[str] = []
        wrote = threading.Event()
        is_over = False

        async def write() -> None:
            while not is_over:
                async with storage.transaction() as transaction:
                    pair = [Session(workflow_id=workflow.id, workflow_snapshot=workflow.definition) for _ in range(2)]
                    for each in pair:
                        await transaction.create_session(each)
                acknowledged.extend(each.id for each in pair)
                wrote.set()

        def go_on_once_others_wrote(done: int, total: int) -> None:
            del done, total
            wrote.wait(PATIENCE_S)

        writers = [asyncio.create_task(write()) for _ in range(8)]
        for number in range(3):
            while len(acknowledged) < 100 * (number + 1):
                await asyncio.sleep(0.01)
            before = set(acknowledged)
            count = len(acknowledged)
            made = tmp_path / f"{number}.db"
            wrote.clear()
            content = await maintenance.backup(made, go_on_once_others_wrote)
            assert len(acknowledged) > count, "nobody wrote meanwhile"
            assert (await maintenance.verify(made)).findings == ()
            found = await sessions_at(made)
            assert before <= found
            assert len(found) == content.rows["sessions"]
            assert len(found) % 2 == 0, "half of a transaction"
        is_over = True
        await asyncio.gather(*writers)


async def test_a_backup_has_the_permissions_of_its_store(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    filled.chmod(0o640)
    await maintenance.backup(tmp_path / "made.db")
    assert stat.S_IMODE((tmp_path / "made.db").stat().st_mode) == 0o640


async def test_a_backup_replaces_no_file(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    made = tmp_path / "made.db"
    made.write_text("mine")
    with pytest.raises(ConflictError, match="is there already"):
        await maintenance.backup(made)
    assert made.read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir() if "part" in each.name) == []


async def test_a_cancelled_backup_leaves_nothing(
    filled: Path, maintenance: StoreMaintenance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_backups, "_STEP_BYTES", 8192)
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    backup = asyncio.create_task(
        maintenance.backup(tmp_path / "made.db", lambda *_: (loop.call_soon_threadsafe(begun.set), time.sleep(0.05)))
    )
    await begun.wait()
    backup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await backup
    assert [each.name for each in tmp_path.iterdir() if "made" in each.name] == []


async def test_a_flipped_byte_or_a_truncated_file_is_found_or_harmless(
    filled: Path, maintenance: StoreMaintenance, tmp_path: Path
):
    made = tmp_path / "made.db"
    content = await maintenance.backup(made)
    whole = made.read_bytes()
    damaged = tmp_path / "damaged.db"
    for size in (0, 10, 100, 8192, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:size])
        assert (await maintenance.verify(damaged)).findings, size
        with pytest.raises(StorageError):
            await maintenance_of("sqlite", str(tmp_path / "target.db")).restore(damaged)
    chance = random.Random(18)
    for _ in range(30):
        changed = bytearray(whole)
        changed[chance.randrange(100)] ^= 1 << chance.randrange(8)
        damaged.write_bytes(changed)
        found = await maintenance.verify(damaged)
        assert found.findings or found.rows == content.rows
    assert not (tmp_path / "target.db").exists()


async def test_verifying_leaves_no_file_beside_the_backup(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    folder = tmp_path / "backups"
    folder.mkdir()
    await maintenance.backup(folder / "made.db")
    await maintenance.verify(folder / "made.db")
    assert [each.name for each in folder.iterdir()] == ["made.db"]


# ---------------------------------------------------------------------------------------------------------- restoring


async def test_a_restored_store_is_the_one_that_was_backed_up(
    filled: Path, maintenance: StoreMaintenance, tmp_path: Path
):
    await maintenance.backup(tmp_path / "made.db")
    target = tmp_path / "deep" / "target.db"
    await maintenance_of("sqlite", str(target), file_mode=0o600).restore(tmp_path / "made.db")
    assert await sessions_at(target) == await sessions_at(filled)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_a_store_that_is_there_is_replaced_only_on_demand(
    filled: Path, maintenance: StoreMaintenance, tmp_path: Path
):
    await maintenance.backup(tmp_path / "made.db")
    backed_up = await sessions_at(filled)
    async with create_adapter("sqlite", str(filled)) as storage:
        await samples.stored_session(storage)
    with pytest.raises(ConflictError, match="there is a file already"):
        await maintenance.restore(tmp_path / "made.db")
    assert len(await sessions_at(filled)) == 21
    await maintenance.restore(tmp_path / "made.db", replace=True)
    assert await sessions_at(filled) == backed_up


async def test_a_store_that_is_in_use_is_not_replaced(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    await maintenance.backup(tmp_path / "made.db")
    async with create_adapter("sqlite", str(filled)) as storage:
        session = await samples.stored_session(storage)
        with pytest.raises(StoreBusyError, match="is in use"):
            await maintenance.restore(tmp_path / "made.db", replace=True)
        assert await storage.get_session(session.id) == session
        await samples.stored_session(storage)
    assert len(await sessions_at(filled)) == 22


async def test_a_damaged_store_is_replaced_and_kept_aside(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    await maintenance.backup(tmp_path / "made.db")
    expected = await sessions_at(filled)
    filled.write_bytes(b"not a database at all" * 1000)
    await maintenance.restore(tmp_path / "made.db", replace=True)
    assert await sessions_at(filled) == expected
    assert filled.with_name("store.db.damaged-1").read_bytes().startswith(b"not a database")


async def test_a_log_without_its_database_is_not_applied_to_the_restored_store(
    filled: Path, maintenance: StoreMaintenance, tmp_path: Path
):
    await maintenance.backup(tmp_path / "made.db")
    expected = await sessions_at(filled)
    filled.unlink()
    log = Path(f"{filled}-wal")
    log.write_bytes(b"x" * 100)
    with pytest.raises(ConflictError, match="without its database"):
        await maintenance.restore(tmp_path / "made.db")
    await maintenance.restore(tmp_path / "made.db", replace=True)
    assert await sessions_at(filled) == expected


async def test_a_backup_of_a_later_release_is_refused(filled: Path, maintenance: StoreMaintenance, tmp_path: Path):
    await maintenance.backup(tmp_path / "made.db")
    with closing(sqlite3.connect(tmp_path / "made.db")) as connection, connection:
        connection.execute("UPDATE aaow_schema_version SET version_num = '9999'")
    with pytest.raises(SchemaVersionError, match="newer release"):
        await maintenance_of("sqlite", str(tmp_path / "target.db")).restore(tmp_path / "made.db")
    assert not (tmp_path / "target.db").exists()


async def test_a_database_of_another_application_is_no_backup(tmp_path: Path, maintenance: StoreMaintenance):
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(CorruptDataError, match="there is no store"):
        await maintenance.restore(other)


# -------------------------------------------------------------------------------------------------- integrity, space


async def test_a_sound_store_has_no_finding_and_a_dangling_row_is_one(
    filled: Path, maintenance: StoreMaintenance, raw: Callable[..., list[tuple]]
):
    assert await maintenance.check_integrity() == ()
    raw("DELETE FROM sessions WHERE id = (SELECT min(id) FROM sessions)")
    findings = await maintenance.check_integrity()
    assert findings
    assert any("llm_executions" in each.place for each in findings)


async def test_the_space_of_deleted_records_is_given_back(filled: Path, maintenance: StoreMaintenance):
    async with create_adapter("sqlite", str(filled)) as storage:
        for number in range(60):
            await storage.save_workflow(samples.a_workflow(id=f"w{number}", definition={"text": f"{number}" * 9000}))
        for number in range(60):
            await storage.delete_workflow(f"w{number}")
    before = filled.stat().st_size
    assert (await maintenance.sizes()).free_bytes > 100_000
    assert await maintenance.reclaim_space() == before - filled.stat().st_size > 100_000
    assert len(await sessions_at(filled)) == 20


async def test_space_is_given_back_while_an_adapter_is_open(storage: StorageAdapter, maintenance: StoreMaintenance):
    session = await samples.stored_session(storage)
    await maintenance.reclaim_space()
    assert await storage.get_session(session.id) == session
    await samples.stored_session(storage)


async def test_a_store_in_memory_has_no_maintenance_of_files():
    maintenance = maintenance_of("sqlite", ":memory:")
    assert not await maintenance.exists()
    with pytest.raises(StorageError, match="in memory"):
        await maintenance.sizes()
