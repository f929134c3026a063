"""The watchdog: a thread that limits the time of each test and of each operation that the test awaits.

It ends a test that is over a limit by a stronger means each time: it cancels the tasks of the test's event loops; if a
loop is blocked or its tasks ignore the cancellation, a signal handler raises `Stalled` in the main thread; if that has
no effect either, it ends the process. The report names the operation, and the frames of tasks or threads.
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

from aaow_storage_conformance.harness import stall_report

if TYPE_CHECKING:
    import weakref

T = TypeVar("T")

TEST_S = 120.0
SLOW_FACTOR, AWAIT_FRACTION = 5, 0.25
CLEAN_UP_S = 5.0
"""Limit of an operation after the test has stalled, such as a `close` that may have to wait for it."""
GRACE_S = 0.5
"""Time between two attempts to end a stalled test."""
POLL_INTERVAL_S = 0.5
MAX_CANCELS, MAX_SIGNALS = 4, 4
SIGNAL = getattr(signal, "SIGUSR2", None)
EXIT_STATUS = 70
LOOP_SHUTDOWN = ("BaseEventLoop.shutdown_default_executor", "BaseEventLoop.shutdown_asyncgens")


class Stalled(OutcomeException):
    """A test is over its limit of time. Not an `Exception`, so that no backend and not hypothesis catches it."""


@attrs.frozen
class Limits:
    """The seconds that a test may take, and an operation that it awaits."""

    test_s: float = TEST_S

    @property
    def await_s(self) -> float:
        """The limit of an operation."""
        return self.test_s * AWAIT_FRACTION

    def for_a_test(self, *, is_slow: bool) -> "Limits":
        """Return the limits of a test; those of a slow test are longer."""
        return Limits(self.test_s * SLOW_FACTOR) if is_slow else self


class WatchedLoop:
    """An event loop of a test: the operations that its tasks await, and since when."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.sampling_since: float | None = None
        self.slowest: tuple[float, str] = (0.0, "")
        self._since: dict[weakref.ref[Any], float] = {}

    def look(self, at: float) -> None:
        """Schedule a sample of the tasks in the loop, unless one is still due; called by the watchdog's thread."""
        if not self.loop.is_running():
            self.sampling_since, self.slowest = None, (0.0, "")
        elif self.sampling_since is None:
            self.sampling_since = at
            self.call(self._sample)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop's thread, unless the loop is closed."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function)

    def cancel_all(self) -> None:
        """Cancel every task but those of the loop's shutdown; called in the loop."""
        for task in asyncio.all_tasks(self.loop):
            if getattr(task.get_coro(), "__qualname__", "") not in LOOP_SHUTDOWN:
                task.cancel()

    def _sample(self) -> None:
        at = time.monotonic()
        since: dict[weakref.ref[Any], float] = {}
        slowest = (0.0, "")
        for task in asyncio.all_tasks(self.loop):
            if (operation := stall_report.awaited_operation(task)) is not None:
                coroutine, name = operation
                since[coroutine] = self._since.get(coroutine, at)
                slowest = max(slowest, (at - since[coroutine], name))
        self._since, self.slowest, self.sampling_since = since, slowest, None


class Watchdog:
    """Watches one test.

    Attributes:
        limits: the limits of each phase.
        report: what stalled in the current phase; empty if nothing did.
        has_expired: whether any phase stalled.
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
        self._operation_limit_s = limits.await_s
        self._attempts = self._answered = 0

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch the tasks of that loop too."""
        self._loops.setdefault(loop, WatchedLoop(loop))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Limit the time of a block in the thread that made the watchdog; less after an earlier phase has stalled.

        Raises:
            Stalled: the block did not end in time; the message is the report.
        """
        limits = attrs.evolve(self.limits, test_s=CLEAN_UP_S / AWAIT_FRACTION) if self.has_expired else self.limits
        limits = min(limits, self.limits, key=lambda each: each.test_s)
        self.report, self._attempts, self._operation_limit_s = "", 0, limits.await_s
        self._ends_at = time.monotonic() + limits.test_s
        for followed in self._loops.values():
            followed.sampling_since, followed.slowest = None, (0.0, "")
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
        """Whether the current phase is over its limit."""
        return bool(self._phase and self.report)

    def check(self) -> None:
        """Raise `Stalled` if the current phase is over its limit."""
        if self.report:
            raise Stalled(self.report)

    def look(self) -> None:
        """Check the limits, and end the test if it is over one; called by the watchdog's thread."""
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
        """Describe what is over its limit, or return an empty string."""
        for followed in tuple(self._loops.values()):
            waited_s, operation = followed.slowest
            if waited_s > self._operation_limit_s:
                return f"{operation} did not return within {self._operation_limit_s:g} s"
            if (
                followed.sampling_since is not None
                and at - followed.sampling_since > self._operation_limit_s
                and followed.loop.is_running()
            ):
                operation = stall_report.operation_in(stall_report.frames_of_thread(self._thread.ident)) or self.name
                return f"{operation} blocked its event loop for more than {self._operation_limit_s:g} s"
        if at > self._ends_at:
            operations = [each for _, each in (followed.slowest for followed in tuple(self._loops.values())) if each]
            in_thread = stall_report.operation_in(stall_report.frames_of_thread(self._thread.ident))
            where = next((f", in {each}" for each in (*operations, in_thread) if each), "")
            return f"the {self._phase} of {self.name} did not end within its limit of time{where}"
        return ""

    def _write_report(self, reason: str) -> None:
        """Write the report: the tasks of each loop that answers, or else the threads."""
        tasks: list[str] = []
        has_answered = threading.Event()

        def answer(loop: asyncio.AbstractEventLoop) -> None:
            tasks.extend(stall_report.describe_tasks(loop))
            has_answered.set()

        for followed in tuple(self._loops.values()):
            if followed.loop.is_running():
                has_answered.clear()
                followed.call(lambda loop=followed.loop: answer(loop))  # type: ignore[misc]  # mypy: the default is it
                has_answered.wait(GRACE_S)
        self._answered = bool(tasks)
        self.has_expired = True
        _expired.append(self.name)
        self.report = "\n".join([f"stalled: {reason}", *(tasks or stall_report.describe_threads())])

    def _escalate(self) -> None:
        """Try to end the test, by a stronger means each time."""
        if self._attempts < MAX_CANCELS and self._answered:
            for followed in tuple(self._loops.values()):
                followed.call(followed.cancel_all)
        elif self._attempts < MAX_CANCELS + MAX_SIGNALS and self._can_be_interrupted:
            signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL or 0)
        else:
            _write(f"\n{self.name} {self.report}\nneither cancellation nor a signal ends it, so this process exits\n")
            os._exit(EXIT_STATUS)

    @property
    def _can_be_interrupted(self) -> bool:
        return SIGNAL is not None and self._thread is threading.main_thread()


_expired: list[str] = []
_current: Watchdog | None = None
_changed = threading.Condition()
_stderr: list[int] = []


def has_any_stalled() -> bool:
    """Return whether any test has stalled in this process, and may have left threads that never end."""
    return bool(_expired)


@contextmanager
def watching(watch: Watchdog) -> Iterator[Watchdog]:
    """Make it the watchdog of this process; the innermost block counts."""
    global _current  # noqa: PLW0603 - there is one main thread
    outer = _current
    _install_signal_handler()
    with _changed:
        _current = watch
        _start()
        _changed.notify_all()
    try:
        yield watch
    finally:
        _current = outer


def current_limits() -> Limits:
    """Return the limits of the current test, for its subprocesses."""
    return Limits() if _current is None else _current.limits


def watch_running_loop() -> None:
    """Add this thread's running loop, if any, to the current watchdog, if any."""
    if _current is not None:
        with suppress(RuntimeError):
            _current.follow(asyncio.get_running_loop())


def check() -> None:
    """Raise `Stalled` if the current test is over its limit."""
    if _current is not None:
        _current.check()


@contextmanager
def cancellation_as_stall() -> Iterator[None]:
    """Raise `Stalled` in place of the watchdog's cancellation, which pytest would not report as a failed fixture."""
    try:
        yield
    except asyncio.CancelledError:
        check()
        raise


def run_in_loop(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Run a coroutine in a loop of another thread, and return its result.

    Raises:
        Stalled: the test is over its limit, before or during the run.
    """
    try:
        check()
    except BaseException:
        coroutine.close()
        raise
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    except BaseException:
        check()
        raise


def exit_after(seconds: float, status: int) -> None:
    """Exit this process by force after so many seconds, unless it has ended by then."""
    timer = threading.Timer(seconds, lambda: (sys.stdout.flush(), os._exit(status)))
    timer.daemon = True
    timer.start()


def save_stderr() -> None:
    """Duplicate the descriptor of stderr before pytest captures it."""
    with suppress(OSError, ValueError, AttributeError):
        _stderr.append(os.dup(sys.stderr.fileno()))


def _write(text: str) -> None:
    with suppress(OSError):
        os.write(_stderr[-1] if _stderr else 2, text.encode(errors="replace"))


_pollers: list[threading.Thread] = []


def _start() -> None:
    if not (_pollers and _pollers[-1].is_alive()):  # after a fork there is none
        _pollers.append(threading.Thread(target=_poll, name="aaow-storage-watchdog", daemon=True))
        _pollers[-1].start()


def _poll() -> None:
    """Look at the current test from time to time. Nothing refers to it in between, so it can be freed when it ends."""
    while True:
        with _changed:
            _changed.wait(None if _current is None else min(POLL_INTERVAL_S, _current._operation_limit_s / 4))  # noqa: SLF001 - its own
            watch = _current
        if watch is not None:
            watch.look()
        del watch


def _install_signal_handler() -> None:
    """Install the signal handler that raises in the main thread. It stays installed, for signals that come late."""
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
