"""Several processes that write to one file."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from aaow_storage import create_adapter
from benchmarks import cases
from benchmarks.children import children
from benchmarks.measuring import run_for
from benchmarks.results import Bound
from benchmarks.rounds import remove

PROCESSES = 4
CALLERS = 16


@frozen
class Share:
    """What one process did, and how long its longest write took."""

    rate: float
    longest_ms: float


def processes(folder: Path, seconds: float) -> Iterator[Bound]:
    """Yield the rate of four processes beside that of one; a process that fails is an error."""
    path = folder / "processes.db"
    asyncio.run(_fill(path))
    (alone,) = _shares(path, 1, seconds)
    together = _shares(path, PROCESSES, seconds)
    rates = [share.rate for share in together]
    yield Bound("one process writes", alone.rate, "/s")
    yield Bound("four processes write, of what one does", sum(rates) / alone.rate, at_least=0.9)
    yield Bound("four processes: slowest of what the fastest does", min(rates) / max(rates))
    longest = max(share.longest_ms for share in together)
    yield Bound("four processes: longest write", longest, "ms", at_most=500)
    remove(path)


def _shares(path: Path, count: int, seconds: float) -> list[Share]:
    """Let processes write, all from the moment when the last of them is ready."""
    with children(count, "benchmarks.processes", path, seconds) as started:
        for child in started:
            child.go()
        return [Share(**json.loads(child.result())) for child in started]


async def _fill(path: Path) -> None:
    async with create_adapter("sqlite", str(path)) as storage:
        await cases.one_session(storage)


async def _write(path: str, seconds: float) -> Share:
    async with create_adapter("sqlite", path) as storage:
        operation = cases.save_llm_execution(storage)
        await operation(0)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        run = await run_for(operation, seconds, CALLERS)
        return Share(run.rate, max(run.latencies) * 1000)


def _main() -> None:
    share = asyncio.run(_write(sys.argv[1], float(sys.argv[2])))
    sys.stdout.write(json.dumps({"rate": share.rate, "longest_ms": share.longest_ms}))


if __name__ == "__main__":
    _main()
