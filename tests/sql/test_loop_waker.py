"""A thread wakes an event loop, which runs its callback."""

import asyncio
import errno
import functools
import gc
import os
import threading
from typing import Any

import pytest

from aaow_storage_sql._threads.loop_waker import LoopWaker

PATIENCE_S = 10.0


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """A loop that watches no descriptors for others."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


class LoopThatWatchesNoMore(asyncio.SelectorEventLoop):
    """A loop that watches as many descriptors as it may."""

    def add_reader(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def none_left(*_: object) -> int:
    """Fail as the system does for a process that has as many descriptors as it may."""
    raise OSError(errno.EMFILE, "Too many open files")


LOOPS = {"no descriptors on this loop": LoopWithoutReaders, "no more on this loop": LoopThatWatchesNoMore}


@pytest.fixture(params=["a descriptor", "no descriptors on this system", "no descriptor left", *LOOPS])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "no descriptors on this system":
        monkeypatch.delattr(os, "eventfd", raising=False)
    if request.param == "no descriptor left":
        monkeypatch.setattr(os, "eventfd", none_left, raising=False)
    loop = LOOPS.get(request.param, asyncio.new_event_loop)()
    yield loop
    loop.close()


def test_the_loop_runs_a_callback_each_time_that_a_thread_hands_one_in(loop: asyncio.AbstractEventLoop):
    async def answered_twice() -> None:
        answered = asyncio.Event()
        waker = LoopWaker(loop)
        for _ in range(2):
            threading.Thread(target=waker.call_soon, args=[answered.set]).start()
            await asyncio.wait_for(answered.wait(), PATIENCE_S)
            answered.clear()

    loop.run_until_complete(answered_twice())


def test_callbacks_handed_in_together_run_once_each_in_order(loop: asyncio.AbstractEventLoop):
    calls: list[int] = []

    async def woken_thrice() -> None:
        waker = LoopWaker(loop)
        for number in range(3):
            waker.call_soon(functools.partial(calls.append, number))
        assert waker.has_pending
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waker.has_pending

    loop.run_until_complete(woken_thrice())
    assert calls == [0, 1, 2]


def test_a_callback_runs_although_the_one_before_it_raises(loop: asyncio.AbstractEventLoop):
    raised: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: raised.append(context))

    async def answered() -> None:
        called = asyncio.Event()
        waker = LoopWaker(loop)
        waker.call_soon(lambda: 1 // 0)
        waker.call_soon(called.set)
        await asyncio.wait_for(called.wait(), PATIENCE_S)

    loop.run_until_complete(answered())
    assert [type(context["exception"]) for context in raised] == [ZeroDivisionError]


def test_waking_a_closed_loop_does_nothing(loop: asyncio.AbstractEventLoop):
    waker = LoopWaker(loop)
    loop.close()
    waker.call_soon(pytest.fail)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="the system has no such descriptors")
def test_the_descriptor_is_closed_when_the_waker_is_garbage(monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    eventfd = os.eventfd
    monkeypatch.setattr(os, "eventfd", lambda *args: made.append(eventfd(*args)) or made[-1])

    async def wake(loop: Any) -> None:
        LoopWaker(loop).call_soon(lambda: None)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(wake(loop))
    (descriptor,) = made
    os.fstat(descriptor)
    loop.close()
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
