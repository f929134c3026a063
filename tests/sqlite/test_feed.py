"""The change feed of a file that several adapters have open."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aaow_storage import Session, create_adapter

pytestmark = pytest.mark.asyncio


async def test_an_adapter_that_is_open_while_another_switches_the_feed_off_stores_no_changes(tmp_path: Path):
    path = f"{tmp_path}/store.db"
    async with create_adapter("sqlite", path) as storage:
        await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
        async with create_adapter("sqlite", path, changes=False):
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM changes").fetchone() == (0,)
        async with create_adapter("sqlite", path, changes=True):
            session = Session(workflow_id=None, workflow_snapshot={})
            await storage.create_session(session)
        assert [change.id for change in await storage.get_changes()] == [session.id]
