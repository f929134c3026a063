"""The cost of a thread: the baseline's statements on another thread, handed there and back, and nothing else.

An event loop that never waits for a disk needs at least that, so no design is faster for one caller.
"""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from statistics import median

from benchmarks.baselines import open_bare
from benchmarks.cases import WRITES, Case
from benchmarks.measuring import Run, run_bare, run_callers
from benchmarks.results import Bound
from benchmarks.rounds import filled, remove, through_adapter

CASES = WRITES[:3]
"""The cases whose baseline stores the same rows as the adapter."""

Request = tuple[int, asyncio.Future[None]]


def handover(folder: Path, rounds: int, share: float) -> Iterator[Bound]:
    """Yield what bare `sqlite3` on a thread does for one caller, and what the adapter does, both of the baseline."""
    template, path = folder / "template.db", folder / "run.db"
    for case in CASES:
        asyncio.run(filled(case, template))
        operations = max(1, round(case.operations * share))
        ways = _ways(case, path, operations)
        runs: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                shutil.copy(template, path)
                runs[way].append(run().rate)
                remove(path)
        remove(template)
        for way in ("bare sqlite3 on a thread", "the adapter"):
            ratio = median(rate / baseline for rate, baseline in zip(runs[way], runs["baseline"], strict=True))
            yield Bound(f"{case.name}, 1 caller: {way}, of the baseline", ratio)


def _ways(case: Case, path: Path, operations: int) -> dict[str, Callable[[], Run]]:
    return {
        "baseline": lambda: _bare(case, path, operations),
        "bare sqlite3 on a thread": lambda: asyncio.run(_on_a_thread(case, path, operations)),
        "the adapter": lambda: asyncio.run(through_adapter(case, path, "FULL", operations, 1)),
    }


def _bare(case: Case, path: Path, operations: int) -> Run:
    with closing(open_bare(path, "FULL")) as connection:
        return run_bare(case.baseline(connection), operations)


async def _on_a_thread(case: Case, path: Path, operations: int) -> Run:
    loop = asyncio.get_running_loop()
    requests: SimpleQueue[Request | None] = SimpleQueue()

    def serve() -> None:
        with closing(open_bare(path, "FULL")) as connection:
            operation = case.baseline(connection)
            while (request := requests.get()) is not None:
                number, done = request
                try:
                    operation(number)
                except Exception as error:  # noqa: BLE001 - raised again in the task that waits
                    loop.call_soon_threadsafe(done.set_exception, error)
                else:
                    loop.call_soon_threadsafe(done.set_result, None)

    async def call(number: int) -> None:
        done: asyncio.Future[None] = loop.create_future()
        requests.put((number, done))
        await done

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        return await run_callers(call, operations, 1)
    finally:
        requests.put(None)
        thread.join()
