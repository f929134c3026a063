"""Interleaved rounds: each number of callers runs beside a baseline of its own, on a copy of the same file."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from attrs import frozen

from aaow_storage import create_adapter
from benchmarks.baselines import open_bare
from benchmarks.cases import WRITES, Case
from benchmarks.measuring import Run, run_bare, run_callers
from benchmarks.results import Ratio, latency_ms, loop_lag_ms


@frozen
class Pair:
    """The same operations, bare and through the adapter, one right after the other."""

    baseline: Run
    ours: Run
    baseline_bytes: int
    our_bytes: int


def compared(
    case: Case, folder: Path, *, callers: Sequence[int], synchronous: str, rounds: int, share: float = 1.0
) -> Iterator[Ratio]:
    """Measure a case at each number of callers; `share` makes the runs shorter."""
    template = folder / "template.db"
    asyncio.run(filled(case, template))
    operations = max(1, round(case.operations * share))
    pairs: dict[int, list[Pair]] = {count: [] for count in callers if count <= case.most_callers}
    for _ in range(rounds):
        for count, measured in pairs.items():
            measured.append(_pair(case, template, synchronous, max(operations, 2 * count), count))
    template.unlink()
    for count, measured in pairs.items():
        yield ratio_of(case, synchronous, count, measured)


def _pair(case: Case, template: Path, synchronous: str, operations: int, callers: int) -> Pair:
    size = template.stat().st_size
    path = template.with_name("run.db")
    shutil.copy(template, path)
    with closing(open_bare(path, synchronous)) as connection:
        operation = case.baseline(connection)
        baseline = run_bare(operation, operations)
    baseline_bytes = path.stat().st_size - size
    remove(path)
    shutil.copy(template, path)
    ours = asyncio.run(through_adapter(case, path, synchronous, operations, callers))
    our_bytes = path.stat().st_size - size
    remove(path)
    return Pair(baseline, ours, baseline_bytes, our_bytes)


async def filled(case: Case, path: Path) -> None:
    """Make a store with what a case needs."""
    async with create_adapter("sqlite", str(path)) as storage:
        await case.fill(storage)


async def through_adapter(case: Case, path: Path, synchronous: str, operations: int, callers: int) -> Run:
    """Run a case on a store that has what it needs."""
    async with create_adapter("sqlite", str(path), synchronous=synchronous) as storage:
        operation = case.ours(storage)
        await operation(0)
        return await run_callers(operation, operations, callers)


def ratio_of(case: Case, synchronous: str, callers: int, pairs: Sequence[Pair]) -> Ratio:
    """Return the medians of what was measured."""
    ours = [pair.ours for pair in pairs]
    return Ratio(
        case=case.name,
        synchronous=synchronous,
        callers=callers,
        ratio=median(pair.ours.rate / pair.baseline.rate for pair in pairs),
        target=case.targets.get(callers) if synchronous == "FULL" else None,
        rate=median(pair.ours.rate for pair in pairs),
        baseline_rate=median(pair.baseline.rate for pair in pairs),
        p50_ms=latency_ms(ours, 0.5),
        p99_ms=latency_ms(ours, 0.99),
        worst_ms=max(max(run.latencies) for run in ours) * 1000,
        loop_lag_p99_ms=loop_lag_ms(ours),
        cpu_us=median(pair.ours.cpu_seconds / pair.ours.operations for pair in pairs) * 1e6,
        baseline_cpu_us=median(pair.baseline.cpu_seconds / pair.baseline.operations for pair in pairs) * 1e6,
        bytes_per_operation=median(pair.our_bytes / pair.ours.operations for pair in pairs) if case in WRITES else None,
        baseline_bytes_per_operation=(
            median(pair.baseline_bytes / pair.baseline.operations for pair in pairs) if case in WRITES else None
        ),
    )


def remove(path: Path) -> None:
    """Remove a store and what lies beside it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
