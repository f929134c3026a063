"""Opening and closing on threads of their own: what a cancellation leaves, however often and whenever it comes."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from aaow_storage.errors import StorageUnavailableError
from aaow_storage_sql import Opening, ThreadedExecutor, Tuning

pytestmark = pytest.mark.asyncio

SOON_S = 10.0


class Doors(ThreadedExecutor):
    """An executor that opens in steps of the test's choice."""

    submit = begin = None
    place = "the doors"

    def __init__(self) -> None:
        super().__init__()
        self._is_open = False
        self.opened = self.shut_times = 0
        self.is_inside = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.heeds = True

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self, opening: Opening, *, migrate: bool) -> None:
        self.is_inside.set()
        while not self.may_go_on.wait(0.005):
            if self.heeds:
                opening.check()
        self.opened += 1
        self._is_open = True

    def releasing(self) -> Callable[[], None]:
        return lambda: None

    def give_up(self) -> None:
        self._is_open = False

    def shut(self) -> None:
        self.shut_times += 1
        self._is_open = False


@pytest.fixture
def doors() -> Iterator[Doors]:
    doors = Doors()
    yield doors
    doors._stop()


async def inside(doors: Doors) -> asyncio.Task:
    doors.may_go_on.clear()
    starting = asyncio.create_task(doors.start(migrate=True))
    await asyncio.to_thread(doors.is_inside.wait, SOON_S)
    return starting


def wait_for_its_thread(doors: Doors) -> None:
    """Wait until it is open, while the loop stands still, so that the task does not go on yet."""
    while not doors.is_open or doors._lifecycle.locked():
        time.sleep(0.001)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("heeds", [True, False], ids=["a thread that heeds it", "one that opens all the same"])
async def test_a_cancelled_start_leaves_the_store_closed(doors: Doors, times: int, heeds: bool):
    doors.heeds = heeds
    starting = await inside(doors)
    for _ in range(times):
        starting.cancel()
        await asyncio.sleep(0.01)
    if not heeds:
        doors.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    doors.may_go_on.set()
    assert not doors.is_open
    assert doors.opened == doors.shut_times == (0 if heeds else 1)
    await doors.start(migrate=True)
    assert doors.is_open


async def test_a_start_cancelled_after_its_thread_opened_the_store_closes_it(doors: Doors):
    starting = asyncio.create_task(doors.start(migrate=True))
    await asyncio.sleep(0)
    wait_for_its_thread(doors)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not doors.is_open


async def test_a_cancelled_start_leaves_a_store_open_that_another_start_found_open(doors: Doors):
    first = asyncio.create_task(doors.start(migrate=True))
    await asyncio.sleep(0)
    wait_for_its_thread(doors)
    doors._start(Opening(), migrate=True)  # as the thread of another task does
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert doors.is_open


async def test_a_cancelled_start_does_not_wait_for_another_start(doors: Doors):
    first = await inside(doors)
    second = asyncio.create_task(doors.start(migrate=True))
    await asyncio.sleep(0.05)
    second.cancel()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(asyncio.CancelledError):
            await second
    assert not first.done()
    doors.may_go_on.set()
    await first
    assert doors.is_open


async def test_a_cancelled_start_leaves_a_stuck_thread_alone_and_that_closes_what_it_opened(
    doors: Doors,
):
    doors._tuning = Tuning(undo_timeout_s=0.1)
    doors.heeds = False
    starting = await inside(doors)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    doors.may_go_on.set()
    await doors.start(migrate=True)
    while doors.opened < 2 or not doors.shut_times:
        await asyncio.sleep(0.005)
    assert (doors.opened, doors.shut_times, doors.is_open) == (2, 1, True)


async def test_a_start_whose_loop_is_gone_leaves_the_store_closed(doors: Doors):
    doors.heeds = False
    starting = doors.start(migrate=True)

    async def begin() -> None:
        doors.may_go_on.clear()
        starting.send(None)
        await asyncio.to_thread(doors.is_inside.wait, SOON_S)

    await begin()
    starting.close()
    gc.collect()
    doors.may_go_on.set()
    while not doors.shut_times:
        await asyncio.sleep(0.005)
    assert not doors.is_open


async def test_neither_opening_nor_closing_waits_for_the_default_executor(doors: Doors):
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as busy:
        loop.set_default_executor(busy)
        end = threading.Event()
        waiting = loop.run_in_executor(None, end.wait)
        try:
            async with asyncio.timeout(SOON_S):
                await doors.start(migrate=True)
                await doors.stop()
        finally:
            end.set()
        await waiting
    assert doors.opened == doors.shut_times == 1


async def test_no_thread_is_left_after_opening_and_closing(doors: Doors):
    for _ in range(50):
        before = threading.enumerate()
        await doors.start(migrate=True)
        assert threading.enumerate() == before
        await doors.stop()
        assert threading.enumerate() == before


async def test_storage_is_unavailable_if_no_thread_can_be_started(doors: Doors, monkeypatch: pytest.MonkeyPatch):
    class NoThread:
        def __init__(self, **_: object) -> None: ...

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("aaow_storage_sql._threads.thread.threading.Thread", NoThread)
    with pytest.raises(StorageUnavailableError, match="cannot be started"):
        await doors.start(migrate=True)
    monkeypatch.undo()
    await doors.start(migrate=True)
    assert doors.is_open


async def test_a_cancelled_opening_discards_the_late_result_of_a_function_that_cannot_be_interrupted():
    opening = Opening()
    is_inside, may_return, discarded = threading.Event(), threading.Event(), threading.Event()

    def connect() -> str:
        is_inside.set()
        may_return.wait()
        return "connection"

    def open_aside() -> None:
        try:
            opening.run_in_thread(connect, lambda _: discarded.set(), "connecting")
        finally:
            opening.end()

    waiting = asyncio.create_task(asyncio.to_thread(open_aside))
    await asyncio.to_thread(is_inside.wait)
    opening.cancel()
    await asyncio.to_thread(opening.interrupt_until_ended)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not discarded.is_set()
    may_return.set()
    assert await asyncio.to_thread(discarded.wait, SOON_S)


async def test_a_result_just_before_the_cancellation_is_discarded_too():
    opening = Opening()
    discarded = threading.Event()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        opening.run_in_thread(lambda: "connection", lambda _: discarded.set(), "connecting")
    assert await asyncio.to_thread(discarded.wait, SOON_S)
