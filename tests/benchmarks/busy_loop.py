"""Saving beside a task that never lets the event loop rest."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from aaow_storage import create_adapter
from benchmarks import cases
from benchmarks.measuring import Run, run_for
from benchmarks.results import Bound
from benchmarks.rounds import remove

BURST_S = 0.001
TARGETS = {1: 300.0, 16: 2000.0}


def busy_loop(folder: Path, seconds: float) -> Iterator[Bound]:
    """Yield the saves a second while a task burns the loop in bursts of 1 ms."""
    for callers, target in TARGETS.items():
        path = folder / "busy.db"
        run = asyncio.run(_saves(path, seconds, callers))
        remove(path)
        yield Bound(f"saves beside a loop that is always busy, {callers} callers", run.rate, "/s", at_least=target)


async def _saves(path: Path, seconds: float, callers: int) -> Run:
    async with create_adapter("sqlite", str(path)) as storage:
        await cases.one_session(storage)
        burning = asyncio.create_task(_burn())
        run = await run_for(cases.save_llm_execution(storage), seconds, callers)
        burning.cancel()
        with suppress(asyncio.CancelledError):
            await burning
        return run


async def _burn() -> None:
    while True:
        until = time.perf_counter() + BURST_S
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)
