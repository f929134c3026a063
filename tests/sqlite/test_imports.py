"""What is imported when, in a process that opens a store: by threads alone, and no more than an operation needs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import asyncio, datetime, json, os, sqlite3, sys, threading, time
import aaow_storage
from aaow_storage import Session, StorageError, StoredWorkflow

path = sys.argv[1]
AT = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
WORKFLOW = StoredWorkflow(id="w", name="w", version="1", definition={"nodes": []}, created_at=AT, updated_at=AT)

class Finder:
    '''Sees every import; what it raises, the import raises.'''

    def find_spec(self, name, path=None, target=None):
        self.see(name)

def on_the_loop():
    names = []

    class OnTheLoop(Finder):
        def see(self, name):
            if threading.current_thread() is threading.main_thread():
                names.append(name)

    sys.meta_path.insert(0, OnTheLoop())
    return names

class TakesTheWriteLock(Finder):
    '''Takes the write lock of the store, without waiting, when one of the names is imported.'''

    def __init__(self, *names):
        self.names = names
        self.seen = []

    def see(self, name):
        if name in self.names:
            other = sqlite3.connect(path, timeout=0, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
            other.close()
            self.seen.append(name)

def loaded(*names):
    return [name for name in names if name in sys.modules]

def adapter():
    return aaow_storage.create_adapter("sqlite", path)

"""

OPENING = """
async def main():
    storage = adapter()
    created = loaded("sqlalchemy", "alembic")
    names = on_the_loop()
    async with storage:
        opened = loaded("sqlalchemy", "alembic")
        while_opening = list(names)
        await storage.save_workflow(WORKFLOW)
    print(json.dumps([created, opened, while_opening]))
"""


def run(path: Path, program: str) -> Any:
    """Run a program in a new process, and return the JSON that it prints."""
    command = [sys.executable, "-W", "error", "-c", f"{PROGRAM}{program}\nasyncio.run(main())", str(path)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def with_a_workflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store that has the latest schema and a workflow; tests take copies of it."""
    path = tmp_path_factory.mktemp("up_to_date") / "store.db"
    run(path, OPENING)
    assert list(path.parent.iterdir()) == [path]
    return path


@pytest.fixture
def up_to_date(path: Path, with_a_workflow: Path) -> Path:
    """A store that has the latest schema and a workflow."""
    shutil.copy(with_a_workflow, path)
    return path


def of_ours_and_of_the_database(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(("aaow_", "sqlalchemy", "alembic"))]


def test_making_an_adapter_imports_no_sqlalchemy(path: Path):
    created, *_ = run(path, OPENING)
    assert created == []


def test_making_an_adapter_with_indexes_imports_no_sqlalchemy(path: Path):
    loaded = run(
        path,
        """
async def main():
    storage = aaow_storage.create_adapter("sqlite", path, indexes=["Session.metadata.user"])
    print(json.dumps(loaded("sqlalchemy")))
""",
    )
    assert loaded == []


def test_a_new_store_is_opened_in_a_thread_and_the_event_loop_imports_nothing_meanwhile(path: Path):
    _, opened, while_opening = run(path, OPENING)
    assert opened == ["sqlalchemy", "alembic"]
    assert of_ours_and_of_the_database(while_opening) == []


def test_a_store_that_is_up_to_date_is_opened_without_sqlalchemy(up_to_date: Path):
    _, opened, while_opening = run(up_to_date, OPENING)
    assert opened == []
    assert of_ours_and_of_the_database(while_opening) == []


FIRST_OPERATIONS = {
    "point read": 'assert await storage.get_workflow("w") == WORKFLOW',
    "point read of several statements": 'assert await storage.get_execution_state("s") is None',
    "list": "assert await storage.list_workflows() == [WORKFLOW]",
    "list by a filter": 'await storage.list_sessions(aaow_storage.QueryFilter({"metadata.user": "ann"}))',
    "count": "assert await storage.count_workflows() == 1",
    "write of one statement": 'await storage.create_budget_pool(aaow_storage.BudgetPool(id="p", total_budget=1))',
    "write": "await storage.save_workflow(WORKFLOW)",
    "several writes": "await asyncio.gather(*(storage.save_workflow(WORKFLOW) for _ in range(3)))",
    "transaction": 'async with storage.transaction() as inside: assert await inside.get_workflow("w") == WORKFLOW',
    "transaction that writes": "async with storage.transaction() as inside: await inside.save_workflow(WORKFLOW)",
}


@pytest.mark.parametrize("operation", FIRST_OPERATIONS.values(), ids=FIRST_OPERATIONS)
def test_the_first_operation_imports_nothing_on_the_event_loop(up_to_date: Path, operation: str):
    names = run(
        up_to_date,
        f"""
async def main():
    storage = adapter()
    names = on_the_loop()
    async with storage:
        assert not loaded("sqlalchemy")
        {operation}
        assert loaded("sqlalchemy")
    print(json.dumps(names))
""",
    )
    assert of_ours_and_of_the_database(names) == []


def test_reads_on_the_event_loop_import_nothing(up_to_date: Path):
    names, allowed = run(
        up_to_date,
        """
async def main():
    storage = adapter()
    names = on_the_loop()
    async with storage:
        for _ in range(500):
            await storage.get_workflow("w")
        breakers = storage._executor._inline_reads._breakers.values()
        print(json.dumps([names, [each.allows_inline for each in breakers]]))
""",
    )
    assert of_ours_and_of_the_database(names) == []
    assert len(allowed) == 1


def test_an_operation_imports_the_repository_of_its_own_kind_alone(up_to_date: Path):
    names = run(
        up_to_date,
        """
async def main():
    async with adapter() as storage:
        await storage.list_workflows()
    print(json.dumps(sorted(sys.modules)))
""",
    )
    repositories = {name for name in names if name.startswith("aaow_storage_sql._repositories.")}
    assert repositories == {
        f"aaow_storage_sql._repositories.{name}" for name in ("documents", "recording", "workflows")
    }
    others = ("sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql")
    assert [name for name in names if name.startswith(others)] == []


def test_a_document_that_changes_while_the_first_operation_imports_is_stored_as_it_was(up_to_date: Path):
    stored = run(
        up_to_date,
        """
async def main():
    async with adapter() as storage:
        definition = {"nodes": []}
        workflow = StoredWorkflow(id="v", name="v", version="1", definition=definition)
        saving = asyncio.create_task(storage.save_workflow(workflow))
        await asyncio.sleep(0)
        assert not loaded("aaow_storage_sql._repositories.workflows")
        workflow.definition["nodes"].append("later")
        await saving
        print(json.dumps((await storage.get_workflow("v")).definition))
""",
    )
    assert stored == {"nodes": []}


def test_no_lock_of_the_store_is_held_while_the_first_write_imports_sqlalchemy(up_to_date: Path):
    seen = run(
        up_to_date,
        """
async def main():
    finder = TakesTheWriteLock("sqlalchemy")
    sys.meta_path.insert(0, finder)
    async with adapter() as storage:
        await asyncio.gather(*(storage.save_workflow(WORKFLOW) for _ in range(3)))
    print(json.dumps(finder.seen))
""",
    )
    assert seen == ["sqlalchemy"]


def test_no_lock_is_held_while_a_new_store_imports_its_migrations(path: Path):
    seen = run(
        path,
        """
async def main():
    finder = TakesTheWriteLock("sqlalchemy", "alembic")
    sys.meta_path.insert(0, finder)
    async with adapter() as storage:
        print(json.dumps(finder.seen))
""",
    )
    assert seen == ["sqlalchemy", "alembic"]


BROKEN_MODULES = [
    "aaow_storage_sql._repositories.workflows",
    pytest.param("aaow_storage_sqlite._expressions", marks=pytest.mark.slow),
    pytest.param("sqlalchemy", marks=pytest.mark.slow),
]
"""Each test starts processes that import SQLAlchemy, which takes a second."""


@pytest.mark.parametrize("module", BROKEN_MODULES)
@pytest.mark.parametrize("operation", ["get_workflow('w')", "list_workflows()", "save_workflow(WORKFLOW)"])
@pytest.mark.parametrize("in_transaction", [False, True], ids=["alone", "in a transaction"])
def test_an_operation_whose_import_fails_is_refused_and_the_next_one_imports_again(
    up_to_date: Path, module: str, operation: str, in_transaction: bool
):
    block = "storage.transaction()" if in_transaction else "aaow_storage.open_adapter('memory')"
    refused = run(
        up_to_date,
        f"""
class Broken(Finder):
    is_broken = True

    def see(self, name):
        if name == {module!r} and self.is_broken:
            raise ImportError("the disk is broken")

async def main():
    sys.meta_path.insert(0, Broken())
    async with adapter() as storage, asyncio.timeout(30):
        async with {block} as inside:
            used = inside if {in_transaction} else storage
            refused = []
            for _ in range(2):
                try:
                    await used.{operation}
                except StorageError as error:
                    refused.append(str(error))
            Broken.is_broken = False
            await used.{operation}
        assert await storage.get_workflow("w") == WORKFLOW
    print(json.dumps(refused))
""",
    )
    assert len(refused) == 2
    assert all("the disk is broken" in each for each in refused)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("module", BROKEN_MODULES)
@pytest.mark.parametrize("operation", ["list_workflows()", "save_workflow(WORKFLOW)"])
def test_a_process_that_is_forked_while_a_thread_imports_can_open_the_store(
    up_to_date: Path, module: str, operation: str
):
    answers = run(
        up_to_date,
        f"""
importing = threading.Event()

class Slow(Finder):
    def see(self, name):
        if name == {module!r} and threading.current_thread() is not threading.main_thread():
            importing.set()
            time.sleep(1.5)  # longer than a fork waits for a thread inside SQLite

async def child():
    async with adapter() as storage, asyncio.timeout(30):
        return await storage.get_workflow("w") == WORKFLOW

async def main():
    sys.meta_path.insert(0, Slow())
    async with adapter() as storage:
        doing = asyncio.create_task(storage.{operation})
        await asyncio.sleep(0)
        assert importing.wait(10)
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            asyncio._set_running_loop(None)
            answer = []
            thread = threading.Thread(target=lambda: answer.append(asyncio.run(child())))
            thread.start()
            thread.join()
            os.write(writing, b"yes" if answer == [True] else b"no")
            os._exit(0)
        os.close(writing)
        await doing
        os.waitpid(process, 0)
        print(json.dumps([os.read(reading, 10).decode(), await storage.get_workflow("w") == WORKFLOW]))
""",
    )
    assert answers == ["yes", True]


def test_an_operation_that_waits_for_an_import_is_done_before_the_adapter_closes(up_to_date: Path):
    found = run(
        up_to_date,
        """
async def main():
    storage = adapter()
    await storage.initialize()
    operations = [storage.list_workflows(), storage.save_workflow(WORKFLOW), storage.get_workflow("w")]
    tasks = [asyncio.create_task(each) for each in operations]
    await asyncio.sleep(0)
    await storage.close()
    print(json.dumps([type(await each).__name__ for each in tasks]))
""",
    )
    assert found == ["list", "NoneType", "StoredWorkflow"]
