"""The status of execution states of old stores: the session's counts, up; and down again both have it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from aaow_storage import create_adapter
from aaow_storage_conformance.data import samples
from aaow_storage_sqlite._upgrade import migrate_store

PATIENCE_S = 5.0
OLD, NEW = "0009", "0011"
STATUSES = "SELECT sessions.status, execution_states.status FROM sessions JOIN execution_states ON id = session_id"


def test_where_the_two_differ_the_session_counts_and_going_down_gives_both_its_status(connection):
    raw = connection.driver_connection
    migrate_store(connection, OLD, PATIENCE_S)
    raw.execute("INSERT INTO documents (digest, body) VALUES (zeroblob(32), '{}')")
    raw.execute(
        "INSERT INTO sessions (id, snapshot_digest, status, created_at, updated_at) "
        "VALUES ('s', zeroblob(32), 'paused', 0, 0)"
    )
    raw.execute("INSERT INTO execution_states (session_id, status) VALUES ('s', 'running')")
    migrate_store(connection, NEW, PATIENCE_S)
    assert raw.execute(STATUSES).fetchall() == [("paused", "running")]  # no row was changed
    raw.execute("INSERT INTO sessions SELECT 't', NULL, snapshot_digest, 'failed', NULL, 0, 0, NULL FROM sessions")
    raw.execute("INSERT INTO execution_states (session_id) VALUES ('t')")
    migrate_store(connection, OLD, PATIENCE_S)
    assert raw.execute(STATUSES + " ORDER BY id").fetchall() == [("paused", "paused"), ("failed", "failed")]
    with pytest.raises(Exception, match="NOT NULL"):
        raw.execute("UPDATE execution_states SET status = NULL")


def test_an_upgraded_store_shows_the_status_of_the_session(tmp_path: Path):
    async def main() -> None:
        path = str(tmp_path / "s.db")
        async with create_adapter("sqlite", path) as storage:
            session = await samples.stored_session(storage, id="s", status="queued")
            await storage.save_execution_state(samples.a_state("s", status="queued"))
        with sqlite3.connect(path) as raw:
            raw.execute("UPDATE execution_states SET status = 'failed'")
        raw.close()
        async with create_adapter("sqlite", path) as storage:
            state = await storage.get_execution_state("s")
            assert state is not None
            assert state.status == session.status == "queued"
            assert [each.status for each in await storage.list_execution_states()] == ["queued"]

    asyncio.run(main())
