"""What is imported when, in a process that opens a store: SQLAlchemy in a thread, alembic for a migration alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import asyncio, json, sys, threading
import aaow_storage

class OnTheLoop:
    names = []

    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread():
            self.names.append(name)

def loaded(*names):
    return [name for name in names if name in sys.modules]

async def main():
    adapter = aaow_storage.create_adapter("sqlite", sys.argv[1])
    created = loaded("sqlalchemy", "alembic")
    sys.meta_path.insert(0, OnTheLoop())
    async with adapter:
        opened = loaded("sqlalchemy", "alembic")
        while_opening = list(OnTheLoop.names)
        workflow = aaow_storage.StoredWorkflow(id="w", name="w", version="1", definition={"nodes": []})
        session = aaow_storage.Session(workflow_id="w", workflow_snapshot={"nodes": []})
        await adapter.save_workflow(workflow)
        await adapter.create_session(session)
        async with adapter.transaction() as transaction:
            await transaction.get_session(session.id)
        await adapter.get_workflow("w")
        await adapter.list_sessions()
    print(json.dumps([created, opened, while_opening, OnTheLoop.names]))

asyncio.run(main())
"""


def run(path: Path) -> Any:
    """Return what was loaded once the adapter was made, and once it was open; what the thread of the event loop had
    imported by then, and what by the end.
    """
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def up_to_date(path: Path) -> Path:
    """A store that has the latest schema."""
    run(path)
    return path


def of_ours_and_of_the_database(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(("aaow_", "sqlalchemy", "alembic"))]


def test_making_an_adapter_imports_no_sqlalchemy(path: Path):
    created, *_ = run(path)
    assert created == []


def test_a_new_store_is_opened_in_a_thread_and_the_event_loop_imports_nothing_meanwhile(path: Path):
    _, opened, while_opening, _ = run(path)
    assert opened == ["sqlalchemy", "alembic"]
    assert of_ours_and_of_the_database(while_opening) == []


def test_a_store_that_is_up_to_date_is_opened_without_alembic(up_to_date: Path):
    _, opened, _, _ = run(up_to_date)
    assert opened == ["sqlalchemy"]


def test_the_first_operations_import_nothing_on_the_event_loop(up_to_date: Path):
    *_, on_the_loop = run(up_to_date)
    assert of_ours_and_of_the_database(on_the_loop) == []
