"""Running an operation many times, by many callers, and keeping how long each took and how late the loop was."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import count, takewhile
from typing import Self

from attrs import Factory, define, frozen

Operation = Callable[[int], Awaitable[object]]
"""What one caller does; the number tells the operations of a run apart."""
BareOperation = Callable[[int], object]

LOOK_EVERY_S = 0.002


@frozen
class Run:
    """What came of a run. Times are in seconds."""

    operations: int
    seconds: float
    latencies: Sequence[float]
    cpu_seconds: float
    """What all threads of the process used."""
    loop_lags: Sequence[float] = ()
    """How late a timer of the event loop was, each time it was due."""

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that such a share of the values does not exceed; 0 if there are none."""
    if not values:
        return 0.0
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def run_bare(operation: BareOperation, operations: int) -> Run:
    """Run the operation again and again on this thread."""
    latencies = []
    cpu = time.process_time()
    started = before = time.perf_counter()
    for number in range(operations):
        operation(number)
        after = time.perf_counter()
        latencies.append(after - before)
        before = after
    return Run(operations, before - started, latencies, time.process_time() - cpu)


async def run_callers(operation: Operation, operations: int, callers: int) -> Run:
    """Let callers share the operations: each begins its next one when its last has returned."""
    return await _run(operation, iter(range(operations)), callers)


async def run_for(operation: Operation, seconds: float, callers: int) -> Run:
    """Let callers go on for that long."""
    deadline = time.perf_counter() + seconds
    return await _run(operation, takewhile(lambda _: time.perf_counter() < deadline, count()), callers)


async def _run(operation: Operation, numbers: Iterator[int], callers: int) -> Run:
    latencies: list[float] = []

    async def call() -> None:
        for number in numbers:
            before = time.perf_counter()
            await operation(number)
            latencies.append(time.perf_counter() - before)

    with LagProbe() as probe:
        cpu = time.process_time()
        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        lasted = time.perf_counter() - started
        return Run(len(latencies), lasted, latencies, time.process_time() - cpu, probe.loop_lags)


@define
class LagProbe:
    """A timer of the running loop that notes how late it is."""

    loop_lags: list[float] = Factory(list)
    _due_at: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._due_at = time.perf_counter() + LOOK_EVERY_S
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self.loop_lags.append(max(0.0, time.perf_counter() - self._due_at))
        self._wait()
