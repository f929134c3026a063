"""What the program of each peer shares: the payload, a baseline, and rounds. It needs the standard library only.

A peer's program runs in an environment that has the peer and nothing of this project. It calls `measure` with a context
manager that opens the peer on a database, as its documentation does, and yields the coroutine function that appends.
The database is named by a URL: `sqlite:///file`, or `postgresql://...` if the command line names a server.
"""

import asyncio
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, closing
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

Append = Callable[[int], Awaitable[object]]
Open = Callable[[str], AbstractAsyncContextManager[Append]]

CALLERS = (1, 64)
SENTENCE = "The quick brown fox jumps over the lazy dog, and 12 more do. "
PAYLOAD = {
    "model": "some-model-2026",
    "messages": [{"role": "system", "content": SENTENCE * 6}, {"role": "user", "content": SENTENCE * 6}],
}
"""About 1 kB, as the other benchmarks save it."""

BASELINE = (
    "CREATE TABLE calls (id TEXT PRIMARY KEY, session_id TEXT, node_id TEXT, timestamp INTEGER, body TEXT)",
    "CREATE INDEX by_session ON calls (session_id, timestamp, id)",
    "CREATE INDEX by_node ON calls (session_id, node_id, timestamp, id)",
)
INSERT = "INSERT INTO calls VALUES (?, ?, ?, ?, ?)"


def measure(distribution: str, open_peer: Open) -> None:
    """Print one line of JSON with the medians of the rounds."""
    folder, rounds, operations, *server = sys.argv[1:]
    ratios: dict[int, list[float]] = {}
    rates: dict[int, list[float]] = {}
    how = ""
    with TemporaryDirectory(dir=folder) as name:
        for number in range(int(rounds)):
            for callers in CALLERS:
                baseline = _baseline(
                    _made(Path(name), f"baseline_{number}_{callers}", *server), int(operations), callers
                )
                url = _made(Path(name), f"peer_{number}_{callers}", *server)
                rate = asyncio.run(_rate(open_peer, url, int(operations), callers))
                how = how or _durability(url)
                rates.setdefault(callers, []).append(rate)
                ratios.setdefault(callers, []).append(rate / baseline)
    result = {
        "version": version(distribution),
        "how": how,
        "ratios": {callers: median(values) for callers, values in ratios.items()},
        "rates": {callers: median(values) for callers, values in rates.items()},
    }
    sys.stdout.write(json.dumps(result) + "\n")


def for_asyncio(url: str) -> str:
    """Return the URL with the driver that asyncio engines of SQLAlchemy use here."""
    return url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+psycopg:")


def path_of(url: str) -> str:
    """Return the file of a SQLite URL."""
    return url.removeprefix("sqlite:///")


def _made(folder: Path, name: str, server: str | None = None) -> str:
    """Return the URL of a database that has nothing in it."""
    if server is None:
        return f"sqlite:///{folder / name}.db"
    import psycopg  # noqa: PLC0415 - not there for SQLite

    name = f"{Path(sys.argv[0]).stem}_{name}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{server}/{name}"


async def _rate(open_peer: Open, url: str, operations: int, callers: int) -> float:
    async with open_peer(url) as append:
        await append(-1)
        numbers = iter(range(operations))

        async def call() -> None:
            for number in numbers:
                await append(number)

        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        return operations / (time.perf_counter() - started)


def _row(number: int) -> tuple[object, ...]:
    return (f"{number:036}", "session", "node", number, json.dumps(PAYLOAD))


def _baseline(url: str, operations: int, callers: int) -> float:
    """Return the rows a second that the bare driver commits one by one."""
    return (
        _baseline_of_postgresql(url, operations, callers)
        if url.startswith("postgresql:")
        else _baseline_of_sqlite(url, operations)
    )


def _baseline_of_sqlite(url: str, operations: int) -> float:
    """Run on one thread, with WAL and synchronous=FULL."""
    with closing(sqlite3.connect(path_of(url), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        for statement in BASELINE:
            connection.execute(statement)
        started = time.perf_counter()
        for number in range(operations):
            connection.execute(INSERT, _row(number))
        return operations / (time.perf_counter() - started)


def _baseline_of_postgresql(url: str, operations: int, callers: int) -> float:
    """Run on a thread and a connection for each caller."""
    import psycopg  # noqa: PLC0415 - not there for SQLite

    insert = INSERT.replace("?", "%s")
    with ExitStack() as stack:
        connections = [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(callers)]
        for statement in BASELINE:
            connections[0].execute(statement)
        numbers = iter(range(operations))

        def call(connection: Any) -> None:
            for number in numbers:
                connection.execute(insert, _row(number))

        threads = [threading.Thread(target=call, args=(connection,)) for connection in connections]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return operations / (time.perf_counter() - started)


def _durability(url: str) -> str:
    """Say what a commit of the peer's waits for."""
    if url.startswith("postgresql:"):
        return "synchronous_commit on"
    with closing(sqlite3.connect(path_of(url))) as connection:
        return f"journal {connection.execute('PRAGMA journal_mode').fetchone()[0]}, synchronous FULL"
