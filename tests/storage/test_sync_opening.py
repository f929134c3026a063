"""Opening and closing a synchronous adapter, and what becomes of calls and blocks when it is closed."""

import asyncio
import contextlib
import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aaow_storage import DelegatingAdapter, Session, TransactionOutcome, create_adapter, open_sync
from aaow_storage.errors import AdapterClosedError, StorageError, TransactionError
from aaow_storage.sync import SyncAdapter
from aaow_storage_memory import MemoryAdapter

SOON_S = 10.0


def a_session(id: str = "s") -> Session:
    return Session(id=id, workflow_id=None, workflow_snapshot={"nodes": []})


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncAdapter]:
    url = [str(tmp_path / "store.db")] if request.param == "sqlite" else []
    with open_sync(request.param, *url) as storage:
        yield storage


@pytest.mark.parametrize("call", ["initialize", "close", "count_sessions"])
@pytest.mark.parametrize("during", ["initialize", "close"])
def test_a_call_from_the_thread_of_the_loop_while_it_opens_or_closes_is_refused(during: str, call: str):
    refused = []

    class Calling(DelegatingAdapter):
        def call(self) -> None:
            with pytest.raises(StorageError) as caught:
                getattr(storage, call)()
            refused.append(caught.value)

        async def initialize(self, *, migrate: bool = True) -> None:
            self.call()
            await super().initialize(migrate=migrate)

        async def close(self) -> None:
            self.call()
            await super().close()

    storage = SyncAdapter(Calling(MemoryAdapter()))
    storage.initialize()
    storage.close()
    error = refused[["initialize", "close"].index(during)]
    if (during, call) == ("initialize", "count_sessions"):
        assert isinstance(error, AdapterClosedError)
    else:
        assert "would wait for itself" in str(error)


def test_an_adapter_is_open_between_initialize_and_close():
    storage = SyncAdapter(create_adapter("memory"))
    with pytest.raises(AdapterClosedError, match="call initialize\\(\\), or use it in `with`"):
        storage.count_sessions()
    storage.close()
    storage.initialize(migrate=False)
    storage.initialize()
    storage.create_session(a_session())
    storage.close()
    storage.close()
    for call in (storage.count_sessions, storage.changes, storage.begin_transaction, storage.transaction().__enter__):
        with pytest.raises(AdapterClosedError):
            call()
    with storage:
        assert storage.count_sessions() == 1


def test_an_adapter_is_in_one_block_at_a_time():
    with open_sync("memory") as storage:
        with pytest.raises(StorageError, match="already in a `with` block"), storage:
            pass
        assert storage.count_sessions() == 0
    with storage:
        pass


def test_a_store_that_cannot_be_opened_leaves_no_thread(tmp_path: Path):
    before = threading.active_count()
    with pytest.raises(StorageError):
        open_sync("sqlite", str(tmp_path))
    assert threading.active_count() == before


def test_closing_ends_the_thread_and_rolls_back(storage: SyncAdapter):
    names = {each.name for each in threading.enumerate()}
    assert f"event loop of {storage.wrapped!r}" in names
    begun = storage.begin_transaction()
    begun.create_session(a_session())
    storage.close()
    assert f"event loop of {storage.wrapped!r}" not in {each.name for each in threading.enumerate()}
    with pytest.raises(TransactionError, match="the adapter was closed while it was open"):
        begun.commit()
    assert begun.outcome is TransactionOutcome.ABORTED


@pytest.mark.parametrize("way", ["transaction", "begin", "savepoint"])
def test_a_block_whose_adapter_was_closed_raises_its_own_error_or_does_not_pass_for_committed(way: str):
    def close(error: Exception | None) -> None:
        storage = open_sync("memory")
        block = storage.transaction() if way == "transaction" else storage.begin_transaction()
        with block as transaction, transaction.savepoint() if way == "savepoint" else contextlib.nullcontext():
            storage.close()
            if error is not None:
                raise error

    own = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught:
        close(own)
    assert caught.value is own
    with pytest.raises(TransactionError, match="the transaction is over: the adapter was closed while it was open"):
        close(None)


@pytest.mark.parametrize("way", ["transaction", "begin"])
def test_a_block_that_ended_its_transaction_itself_may_close_the_adapter(way: str):
    storage = open_sync("memory")
    with storage.transaction() if way == "transaction" else storage.begin_transaction() as transaction:
        transaction.commit()
        storage.close()
    with pytest.raises(TransactionError, match="it was committed"):
        transaction.count_sessions()


def test_closing_ends_the_calls_that_wait_in_other_threads():
    has_begun = threading.Event()

    class Waiting(DelegatingAdapter):
        async def last_change(self) -> None:
            has_begun.set()
            await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as threads:
        storage = SyncAdapter(Waiting(MemoryAdapter()))
        storage.initialize()
        waiting = threads.submit(storage.last_change)
        assert has_begun.wait(SOON_S)
        storage.close()
        assert isinstance(waiting.exception(SOON_S), AdapterClosedError)


def test_an_adapter_cannot_be_copied_or_pickled():
    with open_sync("memory") as storage, storage.transaction() as transaction:
        for each in (storage, transaction):
            for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(StorageError, match="cannot be copied or pickled"):
                    duplicate(each)
