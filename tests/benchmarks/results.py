"""What was measured, in a form that is printed, drawn and written as JSON."""

import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import attrs
from attrs import Factory, define, frozen

from benchmarks.measuring import Run, percentile


@frozen
class Ratio:
    """A case at a number of callers, beside its baseline: the medians of the rounds."""

    case: str
    synchronous: str
    callers: int
    ratio: float
    target: float | None
    rate: float
    """Operations a second."""
    baseline_rate: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    loop_lag_p99_ms: float
    cpu_us: float
    """What an operation costs all threads together."""
    baseline_cpu_us: float
    bytes_per_operation: float | None
    baseline_bytes_per_operation: float | None


@frozen
class Bound:
    """One number that is not a ratio to a baseline, and its lower or upper limit."""

    name: str
    measured: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None if there is no limit."""
        if self.at_least is not None:
            return self.measured >= self.at_least
        return None if self.at_most is None else self.measured <= self.at_most


@define
class Report:
    """A whole run."""

    machine: dict[str, Any]
    ratios: list[Ratio] = Factory(list)
    bounds: list[Bound] = Factory(list)

    def written(self, path: Path) -> None:
        """Write it as JSON."""
        bounds = [{**attrs.asdict(bound), "holds": bound.holds} for bound in self.bounds]
        content = {"machine": self.machine, "ratios": [attrs.asdict(each) for each in self.ratios], "bounds": bounds}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def latency_ms(runs: Sequence[Run], share: float) -> float:
    """Return the median, over the runs, of a percentile of how long an operation took."""
    return median(percentile(run.latencies, share) for run in runs) * 1000


def loop_lag_ms(runs: Sequence[Run], share: float = 0.99) -> float:
    """Return the median, over the runs, of a percentile of how late the event loop was."""
    return median(percentile(run.loop_lags, share) for run in runs) * 1000


def machine(folder: Path) -> dict[str, Any]:
    """Describe where the numbers come from; a flush that costs nothing means that durability was not tested."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "flush_us": round(flush_seconds(folder) * 1e6),
        "switch_interval_ms": sys.getswitchinterval() * 1000,
    }


def flush_seconds(folder: Path, times: int = 20) -> float:
    """Return what it costs to append 4 KiB to a file and flush them to the disk."""
    costs = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            started = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fsync(file.fileno())
            costs.append(time.perf_counter() - started)
    return median(costs)
