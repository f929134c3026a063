"""What it costs to import the package, and to open a store that is up to date."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from aaow_storage import create_adapter
from benchmarks.results import Bound
from benchmarks.rounds import remove

OPEN = """
import asyncio, sys, time
import aaow_storage

async def main():
    started = time.perf_counter()
    adapter = aaow_storage.create_adapter("sqlite", sys.argv[1])
    created = time.perf_counter()
    await adapter.initialize()
    print(time.perf_counter() - started, created - started, "alembic" in sys.modules)
    await adapter.close()

asyncio.run(main())
"""


def startup(folder: Path, times: int) -> Iterator[Bound]:
    """Yield the cost of the import, of opening a file first in a process, and of opening it again."""
    bare, imported = [], []
    for _ in range(times):
        bare.append(_milliseconds("pass"))
        imported.append(_milliseconds("import aaow_storage"))
    yield Bound("import aaow_storage", median(imported) - median(bare), "ms", at_most=60)
    path = folder / "startup.db"
    asyncio.run(_opened(path))
    outputs = [_python(OPEN, str(path)).split() for _ in range(times)]
    first = median(float(seconds) for seconds, *_ in outputs)
    yield Bound("opening an up-to-date file, first in a process (imports the backend)", first * 1000, "ms")
    blocked = median(float(seconds) for _, seconds, _ in outputs)
    yield Bound("create_adapter, first in a process (on the event loop)", blocked * 1000, "ms")
    with_alembic = sum(has_alembic == "True" for *_, has_alembic in outputs)
    yield Bound("processes that imported alembic for it", with_alembic, at_most=0)
    again = median(asyncio.run(_opened(path)) for _ in range(times))
    yield Bound("opening an up-to-date file, once imported", again * 1000, "ms", at_most=15)
    remove(path)


async def _opened(path: Path) -> float:
    started = time.perf_counter()
    adapter = create_adapter("sqlite", str(path))
    await adapter.initialize()
    lasted = time.perf_counter() - started
    await adapter.close()
    return lasted


def _milliseconds(code: str) -> float:
    started = time.perf_counter()
    _python(code)
    return (time.perf_counter() - started) * 1000


def _python(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout
