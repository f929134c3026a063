"""Many callers that write for seconds, beside readers that hold a state of the store for 20 ms, again and again."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from aaow_storage import create_adapter
from benchmarks import cases
from benchmarks.measuring import Run, percentile, run_for
from benchmarks.results import Bound
from benchmarks.rounds import remove

CALLERS = 64
READ_LASTS_S = 0.020
LOOK_EVERY_S = 0.005
MIB = 2**20


def sustained(folder: Path, seconds: float) -> Iterator[Bound]:
    """Yield how long writes took at worst, and how long the write-ahead log grew."""
    path = folder / "sustained.db"
    stopping = threading.Event()
    largest = [0]
    threads = [
        threading.Thread(target=_read_again_and_again, args=(path, stopping, 0)),
        threading.Thread(target=_read_again_and_again, args=(path, stopping, READ_LASTS_S / 2)),
        threading.Thread(target=_watch_log, args=(path, stopping, largest)),
    ]
    run = asyncio.run(_writes(path, seconds, threads, stopping))
    title = f"{CALLERS} callers write for {seconds:g} s beside readers of 20 ms"
    yield Bound(f"{title}: saves", run.rate, "/s")
    yield Bound(f"{title}: p99", percentile(run.latencies, 0.99) * 1000, "ms", at_most=15)
    yield Bound(f"{title}: longest save", max(run.latencies) * 1000, "ms", at_most=150)
    yield Bound(f"{title}: event-loop lag p99", percentile(run.loop_lags, 0.99) * 1000, "ms", at_most=3)
    yield Bound(f"{title}: longest log", largest[0] / MIB, "MiB", at_most=256)
    yield Bound(f"{title}: log after close()", _size(Path(f"{path}-wal")) / MIB, "MiB", at_most=1)
    remove(path)


async def _writes(path: Path, seconds: float, threads: list[threading.Thread], stopping: threading.Event) -> Run:
    async with create_adapter("sqlite", str(path)) as storage:
        await cases.one_session(storage)
        for thread in threads:
            thread.start()
        try:
            return await run_for(cases.save_llm_execution(storage), seconds, CALLERS)
        finally:
            stopping.set()
            for thread in threads:
                await asyncio.to_thread(thread.join)


def _read_again_and_again(path: Path, stopping: threading.Event, pause: float) -> None:
    """Hold one state after another; two that begin at different moments leave none between."""
    stopping.wait(pause)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        while not stopping.is_set():
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sessions").fetchone()
            stopping.wait(READ_LASTS_S)
            connection.execute("COMMIT")


def _watch_log(path: Path, stopping: threading.Event, largest: list[int]) -> None:
    while not stopping.wait(LOOK_EVERY_S):
        largest[0] = max(largest[0], _size(Path(f"{path}-wal")))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
