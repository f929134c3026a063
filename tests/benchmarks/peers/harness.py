"""What the program of each peer shares: the payload, a floor, and rounds. It needs the standard library only.

A peer's program runs in an environment that has the peer and nothing of this project. It calls `measure` with a context
manager that opens the peer on a file, as its documentation does, and yields the coroutine function that appends.
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, closing
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

Append = Callable[[int], Awaitable[object]]
Open = Callable[[Path], AbstractAsyncContextManager[Append]]

CALLERS = (1, 64)
SENTENCE = "The quick brown fox jumps over the lazy dog, and 12 more do. "
PAYLOAD = {
    "model": "some-model-2026",
    "messages": [{"role": "system", "content": SENTENCE * 6}, {"role": "user", "content": SENTENCE * 6}],
}
"""About 1 kB, as the other benchmarks save it."""

FLOOR = """
CREATE TABLE calls (id TEXT PRIMARY KEY, session_id TEXT, node_id TEXT, timestamp INTEGER, body TEXT);
CREATE INDEX by_session ON calls (session_id, timestamp, id);
CREATE INDEX by_node ON calls (session_id, node_id, timestamp, id);
"""


def measure(distribution: str, open_peer: Open) -> None:
    """Print one line of JSON with the medians of the rounds."""
    folder, rounds, operations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ratios: dict[int, list[float]] = {}
    rates: dict[int, list[float]] = {}
    journal = ""
    with TemporaryDirectory(dir=folder) as name:
        for number in range(rounds):
            for callers in CALLERS:
                floor = _floor(Path(name) / f"floor-{number}-{callers}.db", operations)
                path = Path(name) / f"peer-{number}-{callers}.db"
                rate = asyncio.run(_rate(open_peer, path, operations, callers))
                journal = journal or _journal(path)
                rates.setdefault(callers, []).append(rate)
                ratios.setdefault(callers, []).append(rate / floor)
    result = {
        "version": version(distribution),
        "journal": journal,
        "ratios": {callers: median(values) for callers, values in ratios.items()},
        "rates": {callers: median(values) for callers, values in rates.items()},
    }
    sys.stdout.write(json.dumps(result) + "\n")


async def _rate(open_peer: Open, path: Path, operations: int, callers: int) -> float:
    async with open_peer(path) as append:
        await append(-1)
        numbers = iter(range(operations))

        async def call() -> None:
            for number in numbers:
                await append(number)

        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        return operations / (time.perf_counter() - started)


def _floor(path: Path, operations: int) -> float:
    """Return the rows a second that bare sqlite3 commits one by one, WAL and synchronous=FULL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(FLOOR)
        started = time.perf_counter()
        for number in range(operations):
            row = (f"{number:036}", "session", "node", number, json.dumps(PAYLOAD))
            connection.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?)", row)
        return operations / (time.perf_counter() - started)


def _journal(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
