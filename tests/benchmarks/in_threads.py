"""A bare driver as a baseline: threads with a connection each, as many as there are callers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from benchmarks.measuring import BareOperation, Run

C = TypeVar("C")


def run_in_threads(
    connect: Callable[[], AbstractContextManager[C]],
    baseline: Callable[[C], BareOperation],
    operations: int,
    callers: int,
) -> Run:
    """Let threads share the operations; each has run one before the time is taken."""
    numbers = iter(range(operations))
    latencies: list[float] = []
    begin = threading.Barrier(callers + 1)

    def call(operation: BareOperation) -> None:
        begin.wait()
        for number in numbers:
            before = time.perf_counter()
            operation(number)
            latencies.append(time.perf_counter() - before)

    with ExitStack() as stack:
        connections = [stack.enter_context(connect()) for _ in range(callers)]
        bare_operations = [baseline(each) for each in connections]
        for operation in bare_operations:
            operation(0)
        threads = stack.enter_context(ThreadPoolExecutor(callers))
        calls = [threads.submit(call, operation) for operation in bare_operations]
        begin.wait()
        cpu, started = time.process_time(), time.perf_counter()
        for each in calls:
            each.result()
        return Run(operations, time.perf_counter() - started, latencies, time.process_time() - cpu)
