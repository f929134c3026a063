"""What reading costs while another process writes."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from aaow_storage import create_adapter
from benchmarks import baselines, cases
from benchmarks.children import children
from benchmarks.measuring import run_for
from benchmarks.results import Bound
from benchmarks.rounds import remove

READERS = 4
WRITES_A_SECOND = 1600


def beside_writer(folder: Path, seconds: float, rounds: int) -> Iterator[Bound]:
    """Yield the rate of reads beside a writer, of the rate without one, in turns."""
    path = folder / "beside.db"
    ratio = asyncio.run(_ratio(path, seconds, rounds))
    remove(path)
    name = f"get_session, {READERS} callers, beside {WRITES_A_SECOND} writes/s of another process, of without"
    yield Bound(name, ratio, at_least=0.7)


async def _ratio(path: Path, seconds: float, rounds: int) -> float:
    async with create_adapter("sqlite", str(path)) as storage:
        await cases.hundreds(storage)
        operation = cases.get_session(storage)
        ratios = []
        for _ in range(rounds):
            alone = await run_for(operation, seconds, READERS)
            with children(1, "benchmarks.beside_writer", path) as (writer,):
                writer.go()
                beside = await run_for(operation, seconds, READERS)
                writer.result()
            ratios.append(beside.rate / alone.rate)
        return median(ratios)


def _write(path: Path, stopping: threading.Event) -> None:
    with closing(baselines.open_bare(path, "FULL")) as connection:
        connection.execute("PRAGMA busy_timeout = 10000")
        save = baselines.save_llm_execution(connection)
        save(0)
        sys.stdout.write("writing\n")
        sys.stdout.flush()
        due_at = time.perf_counter()
        number = 0
        while not stopping.is_set():
            number += 1
            save(number)
            due_at = max(due_at + 1 / WRITES_A_SECOND, time.perf_counter() - 1)
            time.sleep(max(0.0, due_at - time.perf_counter()))


def _main() -> None:
    stopping = threading.Event()
    writing = threading.Thread(target=_write, args=(Path(sys.argv[1]), stopping))
    writing.start()
    sys.stdin.read()
    stopping.set()
    writing.join()


if __name__ == "__main__":
    _main()
