"""Waiting for commits: tasks wait until a read shows something new, and one poll serves all of them.

A `Watcher` polls only while a task waits. It asks the backend whether anything was committed, which is cheap, and if
so, runs one read for all tasks that wait for the same kind of news. A commit of this process wakes it at once, by
`announce_commit`. In a forked process no task of the parent waits any more.

asyncio is imported by the functions that need it, because its import is slow, and no backend may need it to be loaded.
"""

import threading
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aaow_storage._forks import given_up_after_fork
from aaow_storage.errors import AdapterClosedError

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

Probe = Callable[[Collection[str]], Awaitable[Mapping[str, T]]]
"""Reads what is known of each of those keys; a key of which nothing is known is left out."""

POLL_INTERVAL_S = 0.5
"""How often a backend is polled that does not notice the commits of other processes in a cheaper way."""
_MAX_PAUSE_S = 0.05


def announce_commit(place: Hashable) -> None:
    """Wake the watchers of that store in this process, because a commit is done; from any thread.

    Nothing happens, and it takes no time, while no task waits.
    """
    if _pumps.by_place:
        for pump in _pumps.at(place):
            pump.wake()


class Watcher:
    """Lets tasks wait for news of a store. Each adapter has one, which serves tasks of any number of event loops.

    Args:
        place: what `announce_commit` names the store by; adapters on one store may share it.
        read_version: reads a value that differs whenever something was committed since the last call; None if the
            backend has no such value, so that every poll runs the probes.
        interval_s: how often to poll for the commits of other processes, in seconds; None if there are none.
    """

    def __init__(
        self,
        place: Hashable,
        *,
        read_version: Callable[[], Awaitable[object]] | None = None,
        interval_s: float | None = POLL_INTERVAL_S,
    ) -> None:
        self.place = place
        self.read_version = read_version
        self.interval_s = interval_s

    async def wait(self, probe: Probe[T], key: str, is_news: Callable[[T], bool]) -> T:
        """Wait until the probe knows a value of the key that is news, and return it; at once if it is news already.

        The probe runs once for all keys that tasks of an event loop wait for, outside of any transaction of theirs.
        Pass the same function, or the same method of the same object, for the same kind of news.

        Raises:
            AdapterClosedError: the adapter was closed.
            StorageError: the probe failed.
        """
        import asyncio  # noqa: PLC0415 - see above

        loop = asyncio.get_running_loop()
        pump = _pumps.of(self, loop)
        waiter = _Waiter(probe, key, is_news, loop.create_future())
        pump.add(waiter)
        try:
            return cast("T", await waiter.future)
        finally:
            pump.discard(waiter)

    def stop(self) -> None:
        """End all waits with `AdapterClosedError`, because the adapter closes; from any thread."""
        for pump in _pumps.at(self.place):
            if pump.watcher is self:
                pump.stop()


class _Waiter:
    """One task that waits, and what for."""

    __slots__ = ("future", "is_news", "key", "probe")

    def __init__(
        self, probe: Probe[Any], key: str, is_news: Callable[[Any], bool], future: "asyncio.Future[Any]"
    ) -> None:
        self.probe = probe
        self.key = key
        self.is_news = is_news
        self.future = future


class _Pump:
    """Polls for the waiters of one watcher and one event loop, by one task that lives while there are any."""

    def __init__(self, watcher: Watcher, loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio  # noqa: PLC0415 - see above

        self.watcher = watcher
        self.loop = loop
        self._is_due = asyncio.Event()
        self._is_waking = False
        self._waiters: set[_Waiter] = set()
        self._new: set[_Waiter] = set()
        """Those that no probe has answered yet."""
        self._task: asyncio.Task[None] | None = None

    def add(self, waiter: _Waiter) -> None:
        """Poll for a waiter, at once the first time; called on the loop."""
        self._waiters.add(waiter)
        self._new.add(waiter)
        self._is_due.set()
        if self._task is None:
            self._task = self.loop.create_task(self._run(), context=Context())
            _pumps.add(self)

    def discard(self, waiter: _Waiter) -> None:
        """Forget a waiter that has its answer, or was cancelled; called on the loop."""
        self._waiters.discard(waiter)
        self._new.discard(waiter)
        if waiter.future.done() and not waiter.future.cancelled():
            waiter.future.exception()  # mark it as retrieved
        if not self._waiters and self._task is not None:
            self._task.cancel()
            self._end()

    def wake(self) -> None:
        """Poll now; from any thread. While the loop has not come to it, more calls do nothing."""
        if not self._is_waking:
            self._is_waking = True
            self._call_soon(self._wake)

    def stop(self) -> None:
        """Fail all waiters, because the adapter closes; from any thread."""
        self._call_soon(self._fail_all)

    def _call_soon(self, callback: Callable[[], None]) -> None:
        import asyncio  # noqa: PLC0415 - see above

        try:
            if asyncio.get_running_loop() is self.loop:
                callback()
                return
        except RuntimeError:  # the caller is no event loop
            pass
        try:
            self.loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed, so no task waits
            _pumps.remove(self)

    def _wake(self) -> None:
        self._is_waking = False
        self._is_due.set()

    def _fail_all(self) -> None:
        self._settle_all(self._waiters, AdapterClosedError())

    async def _run(self) -> None:
        version: object = None
        try:
            while self._waiters:
                self._is_due.clear()
                began = self.loop.time()
                try:
                    read = self.watcher.read_version
                    current = object() if read is None else await read()
                    asked = self._new if current == version else self._waiters
                    self._new = set()
                    await self._probe(set(asked))
                    version = current
                except Exception as error:  # noqa: BLE001 - raised again in the tasks that wait
                    self._settle_all(self._waiters, error)
                await self._pause(self.loop.time() - began)
        finally:
            for waiter in self._waiters:
                waiter.future.cancel()
            self._end()

    async def _probe(self, asked: set[_Waiter]) -> None:
        """Run each probe once for all keys that the waiters asked for, and settle those for which there is news."""
        by_probe: dict[Probe[Any], list[_Waiter]] = {}
        for waiter in asked:
            by_probe.setdefault(waiter.probe, []).append(waiter)
        for probe, waiters in by_probe.items():
            try:
                found = await probe({waiter.key for waiter in waiters})
                for waiter in waiters:
                    if waiter.key in found and not waiter.future.done() and waiter.is_news(found[waiter.key]):
                        waiter.future.set_result(found[waiter.key])
            except Exception as error:  # noqa: BLE001 - raised again in the tasks that wait
                self._settle_all(waiters, error)

    async def _pause(self, took_s: float) -> None:
        """Wait for as long as the last poll took, and then until the next one is due.

        So polls take at most half of the loop's time, however fast commits come.
        """
        import asyncio  # noqa: PLC0415 - see above

        await asyncio.sleep(min(took_s, _MAX_PAUSE_S))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.watcher.interval_s):
                await self._is_due.wait()

    @staticmethod
    def _settle_all(waiters: Iterable[_Waiter], error: Exception) -> None:
        for waiter in waiters:
            if not waiter.future.done():
                waiter.future.set_exception(error)

    def _end(self) -> None:
        self._task = None
        _pumps.remove(self)


class _Pumps:
    """The pumps of this process that have waiters.

    Attributes:
        by_place: them, by the place of their store.
    """

    def __init__(self) -> None:
        self.by_place: dict[Hashable, tuple[_Pump, ...]] = {}
        self._lock = threading.Lock()
        given_up_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Forget the parent's pumps."""
        self.by_place = {}
        self._lock = threading.Lock()

    def at(self, place: Hashable) -> tuple[_Pump, ...]:
        """Return the pumps of a store."""
        return self.by_place.get(place, ())

    def of(self, watcher: Watcher, loop: "asyncio.AbstractEventLoop") -> _Pump:
        """Return the pump of a watcher and a loop, or a new one."""
        for pump in self.at(watcher.place):
            if pump.watcher is watcher and pump.loop is loop:
                return pump
        return _Pump(watcher, loop)

    def add(self, pump: _Pump) -> None:
        """Add a pump that has a waiter now."""
        place = pump.watcher.place
        with self._lock:
            self.by_place[place] = (*self.by_place.get(place, ()), pump)

    def remove(self, pump: _Pump) -> None:
        """Remove a pump; nothing happens if it was removed before."""
        place = pump.watcher.place
        with self._lock:
            others = tuple(each for each in self.by_place.get(place, ()) if each is not pump)
            if others:
                self.by_place[place] = others
            else:
                self.by_place.pop(place, None)


_pumps = _Pumps()
