"""Iterating synchronously over what comes, and waiting for a decision."""

import contextlib
import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import pytest

from aaow_storage import ApprovalRequest, Session, StreamEvent, open_sync
from aaow_storage.errors import AdapterClosedError, ChangesLostError, NotFoundError, StorageError, ValidationError
from aaow_storage.sync import SyncAdapter

SOON_S = 10.0


@pytest.fixture
def storage() -> Iterator[SyncAdapter]:
    with open_sync("memory") as storage:
        storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        yield storage


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def an_event(data: Any) -> StreamEvent:
    return StreamEvent(stream_id="t", node_id="n", session_id="s", data=data)


def until(waits: Any) -> None:
    deadline = time.monotonic() + SOON_S
    while not waits():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def waits_in_a_thread(iterator: Any, threads: ThreadPoolExecutor) -> "Future[Any]":
    """Ask for the next element in another thread; return when that waits."""
    asked = threads.submit(lambda: next(iterator, "no more"))
    until(lambda: iterator._waiting is not None or asked.done())
    return asked


def test_the_stored_events_come_first_and_then_those_that_others_save(
    storage: SyncAdapter, threads: ThreadPoolExecutor
):
    storage.save_stream_events([an_event(1), an_event(2)])
    events = storage.watch_stream("t")
    assert [event.data for event in islice(events, 2)] == [1, 2]
    asked = waits_in_a_thread(events, threads)
    storage.save_stream_event(an_event(3))
    assert asked.result(SOON_S).data == 3
    assert [event.data for event in islice(storage.watch_stream("t", after=2), 1)] == [3]


def test_an_iterator_of_events_runs_in_the_thread_of_its_caller(storage: SyncAdapter):
    def events() -> Iterator[StreamEvent]:
        yield an_event(storage.count_sessions())
        yield an_event(threading.get_ident())

    saved = storage.save_stream_events(events())
    assert [each.data for each in saved] == [1, threading.get_ident()]
    with pytest.raises(ValidationError):
        storage.save_stream_events(7)


def test_the_change_feed_is_an_ordinary_iterator(storage: SyncAdapter, threads: ThreadPoolExecutor):
    with storage.changes(kinds=["session"]) as changes:
        assert iter(changes) is changes
        assert next(changes).action == "created"
        asked = waits_in_a_thread(changes, threads)
        storage.update_session("s", status="paused")
        assert asked.result(SOON_S).action == "updated"
    assert list(changes) == []


def test_wrong_arguments_are_refused_before_the_first_element(storage: SyncAdapter):
    with pytest.raises(ValidationError):
        storage.watch_stream("t", after=-1)
    with pytest.raises(ValidationError):
        storage.changes(kinds=["sessions"])
    storage.update_session("s", status="paused")
    storage.update_session("s", status="running")
    first, _, third = storage.get_changes()
    storage.prune_changes(third.position)
    with pytest.raises(ChangesLostError):
        next(storage.changes(after=first.position))


def test_closing_an_iterator_ends_the_wait_of_another_thread(storage: SyncAdapter, threads: ThreadPoolExecutor):
    events = storage.watch_stream("t")
    asked = waits_in_a_thread(events, threads)
    events.close()
    assert asked.result(SOON_S) == "no more"
    events.close()
    assert next(events, "no more") == "no more"


def test_closing_the_adapter_ends_the_wait_of_another_thread(storage: SyncAdapter, threads: ThreadPoolExecutor):
    events = storage.watch_stream("t")
    storage.save_stream_event(an_event(1))
    next(events)
    asked = waits_in_a_thread(events, threads)
    unasked = storage.watch_stream("t")
    storage.close()
    assert asked.result(SOON_S) == "no more"
    assert next(events, "no more") == "no more"
    with contextlib.closing(unasked), pytest.raises(AdapterClosedError):
        next(unasked)


def test_two_threads_cannot_wait_for_the_next_element_of_one_iterator(
    storage: SyncAdapter, threads: ThreadPoolExecutor
):
    events = storage.watch_stream("t")
    asked = waits_in_a_thread(events, threads)
    with pytest.raises(StorageError, match="make one for each thread"):
        next(events)
    storage.save_stream_event(an_event(1))
    assert asked.result(SOON_S).data == 1


def test_an_iterator_that_is_dropped_ends_on_the_loop(storage: SyncAdapter):
    storage.save_stream_event(an_event(1))
    for event in storage.watch_stream("t"):
        assert event.data == 1
        break
    gc.collect()
    assert storage.count_sessions() == 1


def test_a_decision_ends_the_wait_for_it(storage: SyncAdapter, threads: ThreadPoolExecutor):
    request = ApprovalRequest(session_id="s", node_id="n", type="human_review")
    storage.create_approval_request(request)
    with pytest.raises(TimeoutError):
        storage.wait_for_approval(request.id, timeout=0)
    asked = threads.submit(storage.wait_for_approval, request.id, SOON_S)
    storage.approve_request(request.id, "ada")
    assert asked.result(SOON_S).resolved_by == "ada"
    with pytest.raises(NotFoundError):
        storage.wait_for_approval("none")


def test_threads_can_wait_for_many_decisions_at_once(storage: SyncAdapter):
    requests = [ApprovalRequest(session_id="s", node_id="n", type="human_review") for _ in range(5)]
    for request in requests:
        storage.create_approval_request(request)
    with ThreadPoolExecutor(5) as threads:
        decided = [threads.submit(storage.wait_for_approval, request.id) for request in requests]
        for request in requests:
            storage.reject_request(request.id, "bob")
        assert {each.result(SOON_S).status for each in decided} == {"rejected"}
    assert threading.active_count() < 20
