"""Forked processes, adapters that are dropped, and programs that end with an open adapter."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aaow_storage import Session, create_adapter, open_sync
from aaow_storage.errors import AdapterClosedError, StorageUnavailableError, TransactionError
from aaow_storage.sync import SyncAdapter
from aaow_storage.sync import _loop_thread as module

SOON_S = 10.0
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def a_session(id: str = "s") -> Session:
    return Session(id=id, workflow_id=None, workflow_snapshot={})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def storage(path: Path) -> Iterator[SyncAdapter]:
    with open_sync("sqlite", str(path)) as storage:
        yield storage


def run_in_fork(main: Callable[[], None]) -> int:
    """Run a function in a forked process; return the exit status of that process."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    status = 1
    try:
        signal.alarm(20)
        main()
        gc.collect()
        status = 0
    except BaseException:  # noqa: BLE001 - the parent's test must not go on here
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(name: str) -> bool:
    deadline = time.monotonic() + SOON_S
    while name in {each.name for each in threading.enumerate()}:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_process_gets_a_clear_error_and_leaves_the_parent_alone(storage: SyncAdapter):
    storage.create_session(a_session())
    transaction = storage.begin_transaction()
    changes = storage.changes

    def child() -> None:
        message = r"forked from, .* open another one with open_sync\(\)"
        for call in (storage.count_sessions, storage.initialize, changes):
            with pytest.raises(AdapterClosedError, match=message):
                call()
        with pytest.raises(TransactionError, match=message):
            transaction.commit()
        storage.close()
        with open_sync("memory") as own:
            assert own.count_sessions() == 0

    assert run_in_fork(child) == 0
    transaction.create_session(a_session("after"))
    transaction.commit()
    assert storage.count_sessions() == 2


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_process_drops_what_it_inherited_without_a_word(path: Path):
    held = [open_sync("sqlite", str(path))]
    iterators = [iter(held[0].changes())]

    def child() -> None:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            with pytest.raises(AdapterClosedError):
                next(iterators[0])
            iterators.clear()
            held.clear()
            gc.collect()
        assert heard == []

    assert run_in_fork(child) == 0
    held[0].create_session(a_session())
    held[0].close()


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_an_adapter_that_was_not_open_at_the_fork_can_be_opened_after_it(path: Path):
    storage = SyncAdapter(create_adapter("sqlite", str(path)))

    def child() -> None:
        with storage:
            storage.create_session(a_session())

    assert run_in_fork(child) == 0
    with storage:
        assert storage.count_sessions() == 1


def test_an_adapter_that_is_dropped_is_closed_by_its_thread_and_the_warning_names_its_store(path: Path):
    storage = open_sync("sqlite", str(path))
    name = f"event loop of {storage.wrapped!r}"
    begun = storage.begin_transaction()
    begun.create_session(a_session())
    del begun
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        del storage
        gc.collect()
        assert ended(name)
        gc.collect()
    (warning,) = heard
    assert warning.category is ResourceWarning
    assert str(path) in str(warning.message)
    assert "dropped while it was open: use it in `with`, or call its close()" in str(warning.message)
    with open_sync("sqlite", str(path)) as storage:
        assert storage.count_sessions() == 0


def test_an_adapter_is_not_dropped_while_its_transaction_or_iterator_is_used():
    transaction = open_sync("memory").begin_transaction()
    changes = transaction._adapter.changes()
    gc.collect()
    transaction.create_session(a_session())
    transaction.commit()
    assert next(changes).id == "s"
    transaction._adapter.close()


@pytest.mark.parametrize("lacks", ["thread", "loop"])
def test_a_machine_without_room_for_a_thread_or_a_loop_raises_a_storage_error(
    lacks: str, monkeypatch: pytest.MonkeyPatch
):
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    def no_loop() -> None:
        raise OSError(24, "Too many open files")

    if lacks == "thread":
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    else:
        monkeypatch.setattr(module.asyncio, "new_event_loop", no_loop)
    with pytest.raises(StorageUnavailableError):
        open_sync("memory")


def test_a_call_while_the_interpreter_ends_is_refused(monkeypatch: pytest.MonkeyPatch):
    with open_sync("memory") as storage:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "is_finalizing", lambda: True)
            with pytest.raises(Exception, match="the interpreter exits"):
                storage.count_sessions()
        assert storage.count_sessions() == 0


def test_a_program_that_ends_without_closing_ends_at_once(path: Path):
    program = """
        import atexit, sys, threading, warnings
        from aaow_storage import Session, open_sync

        class AtTheVeryEnd:
            def __init__(self, storage):
                self.storage = storage

            def __del__(self):
                try:
                    self.storage.count_sessions()
                except Exception as error:
                    print(type(error).__name__)

        storage = open_sync("sqlite", sys.argv[1])
        storage.create_session(Session(id="kept", workflow_id=None, workflow_snapshot={}))
        following = threading.Thread(target=lambda: list(storage.changes()), daemon=True)
        following.start()
        transaction = storage.begin_transaction()
        transaction.create_session(Session(id="lost", workflow_id=None, workflow_snapshot={}))
        threading.Thread(target=lambda: print(storage.count_sessions())).start()
        atexit.register(lambda: print(transaction.count_sessions()))
        sys.modules["builtins"].kept_to_the_end = AtTheVeryEnd(storage)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["1", "2"]), done.stderr
    assert done.stderr == ""
    with open_sync("sqlite", str(path)) as storage:
        assert [each.id for each in storage.list_sessions()] == ["kept"]
