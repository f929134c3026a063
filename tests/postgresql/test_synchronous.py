"""Synchronous calls on a server: transactions of threads, and an interruption while a lock is waited for."""

import signal
import threading
from collections.abc import Iterator

import pytest

from aaow_storage import Session, TransactionOutcome, open_sync
from aaow_storage.errors import TransactionError
from aaow_storage.sync import SyncAdapter


@pytest.fixture
def storages(url: str) -> Iterator[list[SyncAdapter]]:
    """Two adapters on one database."""
    with open_sync(url) as storage, open_sync(url) as other:
        storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        yield [storage, other]


def test_a_call_that_waits_for_a_row_of_another_transaction_can_be_interrupted(storages: list[SyncAdapter]):
    storage, other = storages
    main = threading.main_thread().ident
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with storage.transaction() as transaction:
            transaction.update_session("s", status="paused")
            with pytest.raises(TransactionError):
                storage.count_sessions()
            threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                other.update_session("s", status="failed")
    finally:
        signal.signal(signal.SIGINT, previous)
    assert transaction.outcome is TransactionOutcome.COMMITTED
    assert other.get_session("s").status == "paused"
    assert other.transact(lambda transaction: transaction.update_session("s", status="running")).status == "running"
    assert [change.action for change in storage.get_changes()] == ["created", "updated", "updated"]
