"""A thread rings, and the loop answers."""

import asyncio
import gc
import os
import threading
from typing import Any

import pytest

from aaow_storage_sql._doorbell import Doorbell

PATIENCE_S = 10.0


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """A loop that watches no descriptors for others."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


@pytest.fixture(params=["a descriptor", "no descriptors on this system", "no descriptors on this loop"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "no descriptors on this system":
        monkeypatch.delattr(os, "eventfd", raising=False)
    loop = LoopWithoutReaders() if request.param == "no descriptors on this loop" else asyncio.new_event_loop()
    yield loop
    loop.close()


def test_the_loop_answers_each_time_that_a_thread_rings(loop: asyncio.AbstractEventLoop):
    async def answered_twice() -> None:
        answered = asyncio.Event()
        doorbell = Doorbell(loop, answered.set)
        for _ in range(2):
            threading.Thread(target=doorbell.ring, args=[loop]).start()
            await asyncio.wait_for(answered.wait(), PATIENCE_S)
            answered.clear()

    loop.run_until_complete(answered_twice())


def test_ringing_twice_at_once_is_answered_and_then_there_is_quiet(loop: asyncio.AbstractEventLoop):
    answers: list[int] = []

    async def rung_twice() -> None:
        doorbell = Doorbell(loop, lambda: answers.append(1))
        doorbell.ring(loop)
        doorbell.ring(loop)
        for _ in range(5):
            await asyncio.sleep(0)

    loop.run_until_complete(rung_twice())
    assert 1 <= len(answers) <= 2


def test_ringing_at_a_closed_loop_harms_nobody(loop: asyncio.AbstractEventLoop):
    doorbell = Doorbell(loop, pytest.fail)
    loop.close()
    doorbell.ring(loop)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="the system has no such descriptors")
def test_the_descriptor_is_closed_when_the_doorbell_is_gone(monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    eventfd = os.eventfd
    monkeypatch.setattr(os, "eventfd", lambda *args: made.append(eventfd(*args)) or made[-1])

    async def ring(loop: Any) -> None:
        Doorbell(loop, lambda: None).ring(loop)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(ring(loop))
    (descriptor,) = made
    os.fstat(descriptor)
    loop.close()
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
