"""A limit of time for every test, and for every operation that it awaits; what stands still is named, and ended.

A thread looks at the test now and then. What is over its limit is ended by cancelling the tasks of the test's event
loops; where a loop is blocked, or its tasks go on all the same, by raising `Stalled` in the main thread out of
whatever it is in; and where that has no effect either, by ending the process.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from _pytest.outcomes import OutcomeException  # noqa: PLC2701 - the base of what ends a test has no public name

from aaow_storage_conformance.harness import stall_report as standing

if TYPE_CHECKING:
    import weakref

T = TypeVar("T")

TEST_S = 120.0
SLOW_FACTOR, AWAIT_FRACTION = 5, 0.25
CLEAN_UP_S = 5.0
"""How long an operation may take after the test has stood still."""
GRACE_S = 0.5
"""How long what was cancelled has to end."""
POLL_INTERVAL_S = 0.5
MAX_CANCELS, MAX_SIGNALS = 4, 4
SIGNAL = getattr(signal, "SIGUSR2", None)
EXIT_STATUS = 70
LOOP_SHUTDOWN = ("BaseEventLoop.shutdown_default_executor", "BaseEventLoop.shutdown_asyncgens")


class Stalled(OutcomeException):
    """A test did not end in time. It is no `Exception`, so no backend handles it and hypothesis does not shrink it."""


@attrs.frozen
class Limits:
    """How many seconds a test may take, and an operation that it awaits."""

    test_s: float = TEST_S

    @property
    def await_s(self) -> float:
        """The limit of an operation."""
        return self.test_s * AWAIT_FRACTION

    def for_a_test(self, *, is_slow: bool) -> "Limits":
        """Return the limits of a test, which are longer for a slow one."""
        return Limits(self.test_s * SLOW_FACTOR) if is_slow else self


class WatchedLoop:
    """An event loop that a test runs in: the operations that its tasks wait for, and since when."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.asked_at: float | None = None
        self.slowest: tuple[float, str] = (0.0, "")
        self._since: dict[weakref.ref[Any], float] = {}

    def look(self, at: float) -> None:
        """Ask the loop where its tasks stand, unless it has not answered yet; called from the thread that looks."""
        if not self.loop.is_running():
            self.asked_at, self.slowest = None, (0.0, "")
        elif self.asked_at is None:
            self.asked_at = at
            self.call(self._answer)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop's thread, if it is not closed."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function)

    def cancel_all(self) -> None:
        """Cancel every task, but for those of the loop's own end; called in the loop."""
        for task in asyncio.all_tasks(self.loop):
            if getattr(task.get_coro(), "__qualname__", "") not in LOOP_SHUTDOWN:
                task.cancel()

    def _answer(self) -> None:
        at = time.monotonic()
        since: dict[weakref.ref[Any], float] = {}
        slowest = (0.0, "")
        for task in asyncio.all_tasks(self.loop):
            if (operation := standing.awaited_operation(task)) is not None:
                coroutine, name = operation
                since[coroutine] = self._since.get(coroutine, at)
                slowest = max(slowest, (at - since[coroutine], name))
        self._since, self.slowest, self.asked_at = since, slowest, None


class Watchdog:
    """Watches one test.

    Attributes:
        limits: of each of its phases.
        report: what stood still, in the phase that is on; empty while nothing does.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.report = ""
        self.has_expired = False
        self.limits = limits
        self._thread = threading.current_thread()
        self._loops: dict[asyncio.AbstractEventLoop, WatchedLoop] = {}
        self._phase = ""
        self._ends_at = self._escalates_at = 0.0
        self._await_s = limits.await_s
        self._attempts = self._answered = 0

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the tasks of that loop too."""
        self._loops.setdefault(loop, WatchedLoop(loop))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Limit the time of a block, in the thread that made the watch; after one has stood still there is less of it.

        Raises:
            Stalled: the block did not end in time; the message is the report.
        """
        limits = attrs.evolve(self.limits, test_s=CLEAN_UP_S / AWAIT_FRACTION) if self.has_expired else self.limits
        limits = min(limits, self.limits, key=lambda each: each.test_s)
        self.report, self._attempts, self._await_s = "", 0, limits.await_s
        self._ends_at = time.monotonic() + limits.test_s
        for followed in self._loops.values():
            followed.asked_at, followed.slowest = None, (0.0, "")
        self._phase = name
        try:
            try:
                yield
            finally:
                self._phase = ""
        except BaseException as error:
            if self.report and not isinstance(error, KeyboardInterrupt):
                raise Stalled(self.report) from None
            raise
        if self.report:
            raise Stalled(self.report)

    @property
    def is_over(self) -> bool:
        """Whether the phase that is on has run out of time."""
        return bool(self._phase and self.report)

    def check(self) -> None:
        """Raise `Stalled` where the phase that is on has run out of time."""
        if self.report:
            raise Stalled(self.report)

    def look(self) -> None:
        """Look where the test stands, and end what is over its limit; called from the thread that looks."""
        at = time.monotonic()
        if not self._phase:
            return
        if not self.report:
            for followed in tuple(self._loops.values()):
                followed.look(at)
            reason = self._reason(at)
            if not reason:
                return
            self._escalates_at = at
            self._write_report(reason)
        if at >= self._escalates_at:
            self._escalate()
            self._attempts += 1
            self._escalates_at = at + GRACE_S

    def _reason(self, at: float) -> str:
        """Say what is over its limit, or return an empty string."""
        for followed in tuple(self._loops.values()):
            waited_s, operation = followed.slowest
            if waited_s > self._await_s:
                return f"{operation} did not return within {self._await_s:g} s"
            if followed.asked_at is not None and at - followed.asked_at > self._await_s and followed.loop.is_running():
                operation = standing.operation_in(standing.frames_of_thread(self._thread.ident)) or self.name
                return f"{operation} blocked its event loop for more than {self._await_s:g} s"
        if at > self._ends_at:
            operations = [each for _, each in (followed.slowest for followed in tuple(self._loops.values())) if each]
            in_thread = standing.operation_in(standing.frames_of_thread(self._thread.ident))
            where = next((f", in {each}" for each in (*operations, in_thread) if each), "")
            return f"the {self._phase} of {self.name} did not end within its limit of time{where}"
        return ""

    def _write_report(self, reason: str) -> None:
        """Write the report: from each loop where its tasks are, where it answers, and where the threads are."""
        told: list[str] = []
        has_answered = threading.Event()

        def answer(loop: asyncio.AbstractEventLoop) -> None:
            told.extend(standing.describe_tasks(loop))
            has_answered.set()

        for followed in tuple(self._loops.values()):
            if followed.loop.is_running():
                has_answered.clear()
                followed.call(lambda loop=followed.loop: answer(loop))  # type: ignore[misc]  # mypy: the default is it
                has_answered.wait(GRACE_S)
        self._answered = bool(told)
        self.has_expired = True
        _expired.append(self.name)
        self.report = "\n".join([f"stood still: {reason}", *(told or standing.describe_threads())])

    def _escalate(self) -> None:
        """End what stands still, by a stronger means each time."""
        if self._attempts < MAX_CANCELS and self._answered:
            for followed in tuple(self._loops.values()):
                followed.call(followed.cancel_all)
        elif self._attempts < MAX_CANCELS + MAX_SIGNALS and self._can_be_interrupted:
            signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL or 0)
        else:
            _write(f"\n{self.name} {self.report}\nnothing ends it: this process ends\n")
            os._exit(EXIT_STATUS)

    @property
    def _can_be_interrupted(self) -> bool:
        return SIGNAL is not None and self._thread is threading.main_thread()


_expired: list[str] = []
_current: Watchdog | None = None
_changed = threading.Condition()
_stderr: list[int] = []


def has_any_stalled() -> bool:
    """Say whether anything has stood still in this process, which may have left threads that never end."""
    return bool(_expired)


@contextmanager
def watching(watch: Watchdog) -> Iterator[Watchdog]:
    """Make it the watch of this process; blocks within each other end in the inner one."""
    global _current  # noqa: PLW0603 - there is one main thread
    outer = _current
    _handle_the_signal()
    with _changed:
        _current = watch
        _start()
        _changed.notify_all()
    try:
        yield watch
    finally:
        _current = outer


def current_limits() -> Limits:
    """Return the limits of the test that is watched, for the processes that it starts."""
    return Limits() if _current is None else _current.limits


def watch_running_loop() -> None:
    """Let the watch, if there is one, look at the loop that runs in this thread, if there is one."""
    if _current is not None:
        with suppress(RuntimeError):
            _current.follow(asyncio.get_running_loop())


def check() -> None:
    """Raise `Stalled` where the test has run out of time."""
    if _current is not None:
        _current.check()


@contextmanager
def cancellation_as_stall() -> Iterator[None]:
    """Turn the cancellation of what stood still into what pytest takes for the failure of one fixture among several."""
    try:
        yield
    except asyncio.CancelledError:
        check()
        raise


def run_in_loop(question: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Run a coroutine in a loop of another thread, and return what it does.

    Raises:
        Stalled: the test has run out of time, before the question or during it.
    """
    try:
        check()
    except BaseException:
        question.close()
        raise
    try:
        return asyncio.run_coroutine_threadsafe(question, loop).result()
    except BaseException:
        check()
        raise


def exit_after(seconds: float, status: int) -> None:
    """End this process by force in so many seconds, unless it has ended by then."""
    timer = threading.Timer(seconds, lambda: (sys.stdout.flush(), os._exit(status)))
    timer.daemon = True
    timer.start()


def save_stderr() -> None:
    """Remember where errors go now, before anything captures them."""
    with suppress(OSError, ValueError, AttributeError):
        _stderr.append(os.dup(sys.stderr.fileno()))


def _write(text: str) -> None:
    with suppress(OSError):
        os.write(_stderr[-1] if _stderr else 2, text.encode(errors="replace"))


_pollers: list[threading.Thread] = []


def _start() -> None:
    if not (_pollers and _pollers[-1].is_alive()):  # a forked process has none
        _pollers.append(threading.Thread(target=_look, name="aaow-storage-watch", daemon=True))
        _pollers[-1].start()


def _look() -> None:
    while True:
        with _changed:
            watch = _current
            _changed.wait(None if watch is None else min(POLL_INTERVAL_S, watch._await_s / 4))  # noqa: SLF001 - its own
        if watch is not None and watch is _current:
            watch.look()


def _handle_the_signal() -> None:
    """Let the signal interrupt the main thread. The handler stays: a signal that comes late has no effect."""
    if SIGNAL is None or threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(SIGNAL)
    if before is not _interrupt:
        _handlers_before.append(before)
        signal.signal(SIGNAL, _interrupt)


_handlers_before: list[Any] = []


def _interrupt(number: int, frame: FrameType | None) -> None:
    watch = _current
    if watch is not None and watch.is_over:
        raise Stalled(watch.report)
    if callable(_handlers_before[-1]):
        _handlers_before[-1](number, frame)
