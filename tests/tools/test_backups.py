"""Backups with their manifests, as functions and as commands, and the upgrade of a store."""

import asyncio
import json
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage import (
    Backend,
    Capability,
    ConflictError,
    NotOfferedError,
    create_adapter,
    maintenance_of,
    register_plugin,
    unregister_plugin,
)
from aaow_storage.hookspecs import hookimpl
from aaow_storage_conformance.data import samples
from aaow_storage_mariadb import testing as mariadb
from aaow_storage_postgresql import _programs
from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_sql import HEAD
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._settings import parse_settings
from aaow_storage_sqlite._upgrade import migrate_store
from aaow_storage_tools import backup_store, restore_store, upgrade_store, verify_backup
from aaow_storage_tools._backups import digests
from aaow_storage_tools._errors import InvalidBackupError, UnreadableFileError, UnsupportedByBackendError
from aaow_storage_tools._progress import Progress


async def fill(name_or_url: str, count: int = 5) -> set[str]:
    async with create_adapter(name_or_url) as storage:
        sessions = [await samples.stored_session(storage) for _ in range(count)]
        for each in sessions:
            await samples.stored_execution(storage, each.id)
    return {each.id for each in sessions}


async def sessions_in(name_or_url: str) -> set[str]:
    async with create_adapter(name_or_url) as storage:
        return {each.id for each in await storage.list_sessions()}


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a SQLite store with some records."""
    url = f"file:{tmp_path / 'store.db'}"
    asyncio.run(fill(url))
    return url


@pytest.fixture
def backup(store: str, tmp_path: Path) -> Path:
    """A backup of the store, in blocks of 32 KiB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aaow_storage_tools._backups.backing_up.BLOCK_BYTES", 32 * 1024)
        asyncio.run(backup_store(maintenance_of(store), tmp_path / "made.backup", backend="sqlite"))
    return tmp_path / "made.backup"


def set_revision(url: str, revision: str) -> None:
    connection = open_writer(parse_settings(url))
    migrate_store(connection, revision, 1.0)
    connection.close()


# --------------------------------------------------------------------------------------------------- as functions


def test_a_manifest_says_what_the_backup_is(store: str, tmp_path: Path):
    told: list[Progress] = []
    report = asyncio.run(
        backup_store(maintenance_of(store), tmp_path / "made.backup", backend="sqlite", progress=told.append)
    )
    manifest = json.loads((tmp_path / "made.backup.manifest.json").read_text())
    assert (manifest["kind"], manifest["version"]) == ("aaow-storage backup", 1)
    assert (manifest["backend"], manifest["format"], manifest["schema_version"]) == ("sqlite", "sqlite", HEAD)
    assert manifest["size"] == report.size == (tmp_path / "made.backup").stat().st_size
    assert manifest["rows"]["sessions"] == report.rows["sessions"] == 5
    assert {each.what for each in told} == {"backing up", "computing digests"}
    assert all(each.done == each.total for each in told[-1:])


def test_the_digest_of_a_backup_is_that_of_sha256sum(backup: Path):
    manifest = json.loads(backup.with_name("made.backup.manifest.json").read_text())
    told = subprocess.run(["sha256sum", backup], check=True, capture_output=True, text=True)
    assert told.stdout.split()[0] == manifest["sha256"]


def test_a_sound_backup_is_sound_and_restores(backup: Path, store: str, tmp_path: Path):
    report = asyncio.run(verify_backup(backup))
    assert (report.findings, report.notes, report.has_manifest, report.is_read) == ((), (), True, True)
    target = f"file:{tmp_path / 'target.db'}"
    asyncio.run(restore_store(backup, maintenance_of(target), backend="sqlite"))
    assert asyncio.run(sessions_in(target)) == asyncio.run(sessions_in(store))


@pytest.mark.parametrize("size", [0, 10, 8192, -8192, -1])
def test_a_truncated_backup_is_found_and_not_restored(backup: Path, tmp_path: Path, size: int):
    backup.write_bytes(backup.read_bytes()[:size])
    report = asyncio.run(verify_backup(backup))
    assert "it was cut off" in report.findings[0].problem
    refuses_to_restore(backup, tmp_path)


def test_every_flipped_bit_is_found_with_its_place_and_not_restored(backup: Path, tmp_path: Path):
    whole, chance = backup.read_bytes(), random.Random(18)
    for _ in range(20):
        place = chance.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        backup.write_bytes(changed)
        first = asyncio.run(verify_backup(backup)).findings[0]
        begin, end = (int(each.replace(",", "")) for each in first.place.partition(", bytes ")[2].split(" to "))
        assert begin <= place < end
        assert end - begin <= 32 * 1024
    refuses_to_restore(backup, tmp_path)


def test_what_was_added_to_a_backup_is_found(backup: Path):
    backup.write_bytes(backup.read_bytes() + b"x")
    assert "something was added" in asyncio.run(verify_backup(backup)).findings[0].problem


def refuses_to_restore(backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    with pytest.raises(InvalidBackupError, match="nothing was restored"):
        asyncio.run(restore_store(backup, maintenance_of("sqlite", str(target)), backend="sqlite"))
    assert not target.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"kind": "aaow-storage backup"', '"kind": "other"'),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"block_bytes": ', '"block_bytes": 9'),
        lambda text: "[]",
    ],
    ids=["half", "other kind", "later version", "other blocks", "no object"],
)
def test_a_damaged_manifest_is_a_finding(backup: Path, damage: Callable[[str], str]):
    manifest = backup.with_name("made.backup.manifest.json")
    manifest.write_text(damage(manifest.read_text()))
    report = asyncio.run(verify_backup(backup))
    assert [each.place for each in report.findings] == [str(manifest)]


def test_a_backup_with_the_manifest_of_another_is_found(backup: Path, store: str, tmp_path: Path):
    asyncio.run(fill(store))
    asyncio.run(backup_store(maintenance_of(store), tmp_path / "other.backup", backend="sqlite"))
    backup.with_name("made.backup.manifest.json").write_text((tmp_path / "other.backup.manifest.json").read_text())
    assert not asyncio.run(verify_backup(backup)).is_sound


def test_without_a_manifest_the_backend_reads_the_file_and_a_note_says_so(backup: Path):
    backup.with_name("made.backup.manifest.json").unlink()
    report = asyncio.run(verify_backup(backup))
    assert report.is_sound
    assert report.is_read
    assert "there is no manifest" in report.notes[0]
    backup.write_bytes(backup.read_bytes()[:-8192])
    assert not asyncio.run(verify_backup(backup)).is_sound


def test_a_file_of_nobody_is_no_sound_backup(tmp_path: Path):
    (tmp_path / "text").write_text("hello")
    assert not asyncio.run(verify_backup(tmp_path / "text")).is_sound
    with pytest.raises(UnreadableFileError):
        asyncio.run(verify_backup(tmp_path / "nothing"))


def test_a_manifest_is_not_replaced(backup: Path, store: str):
    backup.unlink()
    with pytest.raises(ConflictError, match="is there already"):
        asyncio.run(backup_store(maintenance_of(store), backup, backend="sqlite"))
    assert not backup.exists()


def test_a_backup_that_is_cancelled_while_its_digest_is_computed_leaves_nothing(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(digests, "_READ_BYTES", 16)

    async def cancel_at_the_digest() -> None:
        def look(progress: Progress) -> None:
            if progress.what == "computing digests":
                making.cancel()

        making = asyncio.create_task(
            backup_store(maintenance_of(store), tmp_path / "made.backup", backend="sqlite", progress=look)
        )
        with pytest.raises(asyncio.CancelledError):
            await making

    asyncio.run(cancel_at_the_digest())
    assert [each.name for each in tmp_path.iterdir() if "made" in each.name] == []


def test_another_backend_restores_no_foreign_backup(backup: Path):
    with pytest.raises(UnsupportedByBackendError, match="aaow-storage copy"):
        asyncio.run(restore_store(backup, maintenance_of("memory"), backend="memory"))


def test_a_backend_without_backups_says_so(tmp_path: Path):
    with pytest.raises(NotOfferedError, match=r"does not offer backup\(\)"):
        asyncio.run(backup_store(maintenance_of("memory"), tmp_path / "made.backup", backend="memory"))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------- as commands


def test_a_backup_is_made_verified_and_restored_by_commands(run, store: str, tmp_path: Path):
    made, target = tmp_path / "made.backup", f"file:{tmp_path / 'target.db'}"
    done = run("backup", made, "--storage", store, "--json")
    assert (done.code, done.document["type"], done.document["format"]) == (0, "result", "sqlite")
    done = run("verify", made, "--json")
    assert (done.code, done.document["is_sound"]) == (0, True)
    done = run("restore", made, "--storage", target, "--json")
    assert (done.code, done.document["rows"]["sessions"]) == (0, 5)
    assert asyncio.run(sessions_in(target)) == asyncio.run(sessions_in(store))
    assert "sound" in run("verify", made).out


def test_a_store_that_is_there_is_restored_over_only_with_force(run, store: str, backup: Path):
    added = asyncio.run(fill(store))
    refused = run("restore", backup, "--storage", store)
    assert (refused.code, refused.out) == (13, "")
    assert added <= asyncio.run(sessions_in(store))
    assert run("restore", backup, "--storage", store, "--force").code == 0
    assert not added & asyncio.run(sessions_in(store))


def test_a_damaged_backup_is_a_finding_of_verify_and_a_failure_of_restore(
    run, store: str, backup: Path, tmp_path: Path
):
    changed = bytearray(backup.read_bytes())
    changed[-1] ^= 1
    backup.write_bytes(changed)
    done = run("verify", backup, "--json")
    assert (done.code, done.document["is_sound"]) == (1, False)
    assert "bytes" in done.document["findings"][0]["place"]
    text = run("verify", backup)
    assert text.code == 1
    assert "damaged" in text.out
    failed = run("restore", backup, "--storage", f"file:{tmp_path / 'target.db'}")
    assert (failed.code, failed.out) == (1, "")


def test_a_backup_is_not_written_over_a_file(run, store: str, backup: Path):
    before = backup.read_bytes()
    done = run("backup", backup, "--storage", store)
    assert (done.code, done.out) == (13, "")
    assert backup.read_bytes() == before


def test_a_store_in_use_is_busy_for_a_restore(run, store: str, backup: Path):
    async def restore_while_open() -> int:
        async with create_adapter(store):
            done = await asyncio.to_thread(run, "restore", backup, "--storage", store, "--force")
            return int(done.code)

    assert asyncio.run(restore_while_open()) == 11


def test_a_store_in_memory_is_not_there_for_another_process(run, tmp_path: Path):
    done = run("backup", tmp_path / "made.backup", "--storage", "memory")
    assert (done.code, done.out) == (10, "")


@pytest.fixture
def drawer() -> Iterator[str]:
    """The URL of a store of a third-party backend that offers no maintenance."""

    class Plugin:
        @hookimpl
        def aaow_storage_backend(self) -> Backend:
            return Backend(
                name="drawer",
                summary="for a test",
                create=lambda url=None: create_adapter(str(url).replace("drawer:", "memory:")),
                capabilities={Capability.STREAM_EVENTS, Capability.CHANGES},
                contract="1.1",
            )

    plugin = Plugin()
    register_plugin(plugin)
    yield "drawer://top"
    unregister_plugin(plugin)


def test_a_backend_without_maintenance_is_backed_up_by_an_export(run, drawer: str, store: str, tmp_path: Path):
    sessions = asyncio.run(fill(drawer))
    for name in ("made.backup", "made.zst"):
        made = tmp_path / name
        done = run("backup", made, "--storage", drawer, "--json")
        assert (done.code, done.document["format"], done.document["rows"]["session"]) == (0, "export", 5)
        assert "so the backup is an export" in done.err
        assert run("verify", made, "--json").document["is_sound"]
        for target in (f"file:{tmp_path / name}.db", f"drawer://{name}"):
            done = run("restore", made, "--storage", target)
            assert done.code == 0, done.err
            assert asyncio.run(sessions_in(target)) == sessions
            assert run("restore", made, "--storage", target).code == 13
        assert run("restore", made, "--storage", store, "--force").code == 1
        damaged = tmp_path / f"damaged.{name}"
        damaged.write_bytes(made.read_bytes()[:-20])
        assert run("verify", damaged).code == 1
        assert run("restore", damaged, "--storage", f"file:{tmp_path / 'never.db'}").code == 1
        assert not [path for path in tmp_path.iterdir() if "journal" in path.name and name in path.name]


@pytest.mark.parametrize("command", [["migrate", "status"], ["migrate", "plan"], ["migrate", "upgrade"]])
def test_a_backend_without_maintenance_loses_only_what_it_cannot_tell(run, drawer: str, command: list[str]):
    done = run(*command, "--storage", drawer)
    assert (done.code, done.out) == (1, "")
    assert "the backend 'drawer': its backend does not offer maintenance" in done.err


# ---------------------------------------------------------------------------------------------------- upgrades


def test_the_state_of_the_schema_is_told(run, store: str):
    done = run("migrate", "status", "--storage", store, "--json")
    assert (done.code, done.document["is_current"], done.document["pending"]) == (0, True, [])
    set_revision(store, "0009")
    done = run("migrate", "status", "--storage", store, "--json")
    assert (done.code, done.document["found"]) == (12, "0009")
    assert done.document["pending"][0].startswith("0010")
    assert "to be upgraded" in run("migrate", "status", "--storage", store).out


def test_a_plan_is_printed_and_nothing_is_run(run, store: str):
    assert run("migrate", "plan", "--storage", store).out == ""
    set_revision(store, "0009")
    done = run("migrate", "plan", "--storage", store)
    assert "CREATE TABLE change_feed" in done.out
    told = run("migrate", "plan", "--storage", store, "--json").document["sql"]
    assert without_random_numbers(told) == without_random_numbers(done.out)
    assert run("migrate", "status", "--storage", store).code == 12


def without_random_numbers(plan: str) -> list[str]:
    return re.sub(r"VALUES \('[0-9a-f]{8}', true\)", "", plan).split()


def test_an_upgrade_is_a_dry_run_unless_it_is_confirmed_and_keeps_a_copy(run, store: str, tmp_path: Path):
    set_revision(store, "0009")
    sessions = asyncio.run(sessions_of_file(tmp_path / "store.db"))
    done = run("migrate", "upgrade", "--storage", store, "--json")
    assert (done.code, done.document["is_dry_run"]) == (0, True)
    assert copies_in(tmp_path) == []
    done = run("migrate", "upgrade", "--storage", store, "--yes", "--json")
    assert (done.code, done.document["before"], done.document["after"]) == (0, "0009", HEAD)
    assert [str(each) for each in copies_in(tmp_path)] == [done.document["copy"]]
    assert version_of(copies_in(tmp_path)[0]) == "0009"
    assert run("migrate", "status", "--storage", store).code == 0
    assert asyncio.run(sessions_in(store)) == sessions
    done = run("migrate", "upgrade", "--storage", store, "--yes", "--json")
    assert (done.document["steps"], done.document["copy"]) == ([], None)


def test_an_upgrade_without_a_copy_makes_none(run, store: str, tmp_path: Path):
    set_revision(store, "0009")
    assert run("migrate", "upgrade", "--storage", store, "--yes", "--no-copy").code == 0
    assert copies_in(tmp_path) == []


def test_a_store_of_a_later_release_is_not_upgraded(run, store: str, tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("UPDATE aaow_schema_version SET version_num = '9999'")
    done = run("migrate", "upgrade", "--storage", store, "--yes")
    assert (done.code, done.out) == (12, "")
    assert "newer" in run("migrate", "status", "--storage", store).out


async def sessions_of_file(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {key for (key,) in connection.execute("SELECT id FROM sessions")}


def copies_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("store.db.before-*"))


def version_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        ((version,),) = connection.execute("SELECT version_num FROM aaow_schema_version").fetchall()
    return str(version)


KILLED = """
import os, signal, sys
from aaow_storage_sql._migrations import history, migrate
from aaow_storage_sqlite import _backups, _upgrade
from aaow_storage_tools.command_line import main

def die(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)

store, moment = sys.argv[1:]
if moment == "in the copy":
    _backups._copy = die
elif moment == "in a step":
    (step,) = (each for each in history.HISTORY if each.revision == "0010")
    step.upgrade = die
elif moment == "before the commit":
    migrate_to = _upgrade.migrate_to
    _upgrade.migrate_to = lambda *arguments: (migrate_to(*arguments), die())
elif moment == "after the commit":
    from aaow_storage_sql import SQLStorageAdapter
    SQLStorageAdapter.close = die
main(["migrate", "upgrade", "--yes", "--storage", store])
"""


@pytest.mark.parametrize(
    ("moment", "version", "copies"),
    [
        ("in the copy", "0008", 0),
        ("in a step", "0008", 1),
        ("before the commit", "0008", 1),
        ("after the commit", HEAD, 1),
    ],
)
def test_an_upgrade_that_is_killed_leaves_the_old_schema_or_the_new_one_and_the_copy(
    store: str, tmp_path: Path, moment: str, version: str, copies: int
):
    path = tmp_path / "store.db"
    set_revision(store, "0008")
    sessions = asyncio.run(sessions_of_file(path))
    done = subprocess.run([sys.executable, "-c", KILLED, store, moment], check=False, capture_output=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert version_of(path) == version
    assert len(copies_in(tmp_path)) == copies
    assert all(version_of(each) == "0008" for each in copies_in(tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    asyncio.run(upgrade_store(create_adapter(store), maintenance_of(store)))
    assert asyncio.run(sessions_in(store)) == sessions


# ---------------------------------------------------------------------------------------------------- PostgreSQL


def test_a_store_in_postgresql_is_backed_up_and_restored_by_commands(run, tmp_path: Path):
    made = tmp_path / "made.backup"
    with skipped_where_missing(), temporary_database() as url, temporary_database() as target:
        sessions = asyncio.run(fill(url))
        assert run("backup", made, "--storage", url, "--json").document["format"] == "pg_dump"
        assert run("verify", made, "--json").document["is_sound"]
        changed = bytearray(made.read_bytes())
        changed[len(changed) // 2] ^= 4
        (tmp_path / "damaged.backup").write_bytes(changed)
        manifest = (tmp_path / "made.backup.manifest.json").read_text()
        (tmp_path / "damaged.backup.manifest.json").write_text(manifest)
        assert run("verify", tmp_path / "damaged.backup").code == 1
        assert run("restore", tmp_path / "damaged.backup", "--storage", target).code == 1
        assert run("restore", made, "--storage", target).code == 0
        assert run("restore", made, "--storage", target).code == 13
        assert asyncio.run(sessions_in(target)) == sessions
        assert run("migrate", "status", "--storage", target).code == 0


def test_a_store_in_mariadb_is_backed_up_and_restored_as_an_export(run, tmp_path: Path):
    made = tmp_path / "made.backup"
    with mariadb.skipped_where_missing(), mariadb.temporary_database() as url, mariadb.temporary_database() as target:
        sessions = asyncio.run(fill(url))
        assert run("backup", made, "--storage", url, "--json").document["format"] == "export"
        assert run("verify", made, "--json").document["is_sound"]
        assert run("migrate", "status", "--storage", target).code != 0
        assert run("restore", made, "--storage", target).code == 0
        assert run("restore", made, "--storage", target).code == 13
        assert asyncio.run(sessions_in(target)) == sessions
        assert run("migrate", "status", "--storage", target).code == 0


def test_without_the_programs_of_postgresql_a_backup_is_an_export_and_the_bytes_of_a_dump_are_compared(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = tmp_path / "made.backup"
    with skipped_where_missing(), temporary_database() as url:
        asyncio.run(fill(url))
        assert run("backup", made, "--storage", url).code == 0
        sessions = asyncio.run(sessions_in(url))
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(_programs, "USUAL_PLACES", ())
        exported = tmp_path / "exported.backup"
        done = run("backup", exported, "--storage", url, "--json")
        assert (done.code, done.document["format"]) == (0, "export")
        assert "pg_dump is not installed" in done.document["reason"]
        assert run("verify", exported, "--json").document["is_sound"]
        with temporary_database() as target:
            assert run("restore", exported, "--storage", target).code == 0
            assert asyncio.run(sessions_in(target)) == sessions
    done = run("verify", made, "--json")
    assert (done.code, done.document["is_sound"], done.document["is_read"]) == (0, True, False)
    assert "pg_restore is not installed" in done.err
