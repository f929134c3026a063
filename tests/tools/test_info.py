"""`info`."""

import asyncio
import sqlite3

import pytest

from aaow_storage import NotOfferedError, maintenance_of, open_adapter
from aaow_storage_tools._looking import description
from aaow_storage_tools._looking.description import KindCount, describe_contents, describe_store
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.stores import Store

COUNTS = {
    "workflow": 1,
    "budget_pool": 4,
    "session": 5,
    "llm_execution": 8,
    "tool_call": 8,
    "approval_request": 4,
    "stream_event": 8,
}


def test_info_counts_by_kind_and_status(run, store):
    document = run("info", "--json").document
    kinds = {each["kind"]: each for each in document["kinds"]}
    assert {name: each["count"] for name, each in kinds.items()} == COUNTS
    assert kinds["session"]["by_status"] == {"queued": 1, "running": 1, "completed": 2, "failed": 1}
    assert kinds["llm_execution"]["by_status"] == {"ok": 7, "failed": 1}
    assert kinds["approval_request"]["by_status"] == {"pending": 3, "approved": 1}
    assert kinds["budget_pool"]["by_status"] == {"active": 2, "exhausted": 1, "suspended": 1}
    assert (kinds["session"]["oldest"], kinds["session"]["newest"]) == ("2026-01-01T12:00:00Z", "2026-01-01T16:00:00Z")


def test_info_counts_everything_if_asked(run, store):
    kinds = {each["kind"]: each["count"] for each in run("info", "--exact", "--json").document["kinds"]}
    assert kinds == {**COUNTS, "execution_state": 4}


def test_info_tells_sizes_schema_and_settings(run, store):
    document = run("info", "--json").document
    assert document["sizes"]["total_bytes"] > 100_000
    assert "sessions" in {table["name"] for table in document["sizes"]["tables"]}
    assert document["durability"]["journal_mode"] == "wal"
    assert document["schema_version"]["is_current"] is True
    assert document["warnings"] == []
    text = run("info").out
    assert "2 completed, 1 failed" in text
    assert f"schema    {document['schema_version']['found']}, current" in text


def test_info_warns_of_settings_that_may_lose_a_commit(run, store):
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    assert "warning" in run("info").out


def test_info_describes_a_store_whose_schema_is_newer(run, store):
    with sqlite3.connect(store) as connection:
        (table,) = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%schema_version%'").fetchone()
        column = connection.execute(f"PRAGMA table_info({table})").fetchone()[1]
        connection.execute(f"UPDATE {table} SET {column} = '9999'")
    connection.close()
    done = run("info", "--json")
    assert done.code == ExitCode.SCHEMA_DIFFERS
    assert (done.document["kinds"], done.document["schema_version"]["is_current"]) == ([], False)
    assert "of a later release" in done.document["warnings"][0]
    assert "needed is" in run("info").out


def test_a_store_in_memory_is_said_to_be_lost():
    (warning,) = asyncio.run(describe_store(maintenance_of("memory"))).warnings
    assert "gone when its process ends" in warning


def test_a_backend_without_maintenance_has_counts_alone(run, store, monkeypatch: pytest.MonkeyPatch):
    def not_offered(_: Store) -> None:
        raise NotOfferedError("maintenance", "the backend 'sqlite'")

    monkeypatch.setattr(Store, "maintenance", not_offered)
    document = run("info", "--json").document
    assert {each["kind"]: each["count"] for each in document["kinds"]} == COUNTS
    assert (document["sizes"], document["durability"], document["schema_version"]) == (None, None, None)
    assert run("info").code == ExitCode.DONE


def test_what_has_to_be_read_is_counted_up_to_a_limit(store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(description, "MAX_COUNTED", 2)
    seen = []

    async def describe(exact: bool) -> tuple[KindCount, ...]:
        async with open_adapter(f"file:{store}") as storage:
            return await describe_contents(storage, exact=exact, progress=seen.append)

    kinds = {each.kind: each for each in asyncio.run(describe(exact=False))}
    assert [name for name, each in kinds.items() if not each.is_exact] == ["budget_pool", "tool_call", "stream_event"]
    assert [each.what for each in seen] == ["counting budget pools", "counting tool calls", "counting stream events"]
    kinds = {each.kind: each for each in asyncio.run(describe(exact=True))}
    assert all(each.is_exact for each in kinds.values())
