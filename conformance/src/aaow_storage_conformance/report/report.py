"""The report of a run as JSON: backend, environment, and the result of every clause."""

import importlib.metadata
import json
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from aaow_storage import Backend
from aaow_storage.authoring import redacted_text, redacted_url
from aaow_storage_conformance._contract import AREAS, CONTRACT_VERSION, registry_digest
from aaow_storage_conformance.report.results import ClauseResult, Outcome, Results
from aaow_storage_conformance.report.waivers import Waiver

FORMAT = 1
"""The version of the JSON format; a change that breaks readers increments it."""
SUITE = "aaow-storage-conformance"
LIBRARIES = ("aaow-storage", "hypothesis", "pytest", "pytest-asyncio", "pytest-xdist")


@attrs.frozen(kw_only=True)
class Report:
    """A run on one backend.

    Attributes:
        backend: the backend, as its plugin describes it.
        claimed: the capabilities that its stores claim.
        problems: waivers to be removed.
        command: the command line that repeats the run.
    """

    backend: Backend
    claimed: Sequence[str]
    results: Results
    seed: int
    command: str
    waivers: Sequence[Waiver] = ()
    problems: Sequence[str] = ()
    started_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    duration_s: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        distribution, version = distribution_of(self.backend.name)
        return {
            "format": FORMAT,
            "verdict": str(self.results.verdict),
            "sentence": self.results.sentence,
            "contract": {"version": CONTRACT_VERSION, "digest": registry_digest()},
            "suite": {"distribution": SUITE, "version": version_of(SUITE)},
            "backend": {
                "name": self.backend.name,
                "summary": self.backend.summary,
                "distribution": distribution,
                "version": version,
                "contract": self.backend.contract,
                "capabilities": sorted(self.claimed),
                "declared_capabilities": sorted(self.backend.capabilities),
            },
            "environment": {
                "python": platform.python_version(),
                "implementation": platform.python_implementation(),
                "platform": platform.platform(),
                "libraries": {name: version_of(name) for name in LIBRARIES},
            },
            "seed": self.seed,
            "command": self.command,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "duration_s": round(self.duration_s, 3),
            "waivers": [{**attrs.asdict(each), "expires": each.expires.isoformat()} for each in self.waivers],
            "problems": list(self.problems),
            "clauses": [self._clause(each) for each in self.results.clauses],
            "tests": {
                name: {"outcome": str(test.outcome), "duration_s": test.duration_s, "detail": test.detail}
                for name, test in sorted(self.results.tests.items())
            },
        }

    def _clause(self, each: ClauseResult) -> dict[str, Any]:
        clause = each.clause
        return {
            "id": clause.id,
            "area": AREAS[clause.area],
            "level": str(clause.level),
            "since": clause.since,
            "capability": clause.capability and str(clause.capability),
            "sentence": clause.sentence,
            "result": str(each.result),
            "counts": {str(outcome): each.counts[outcome] for outcome in Outcome},
            "duration_s": round(each.duration_s, 3),
            "command": f"{self.command} --conformance-clause={clause.id}",
            "tests": [test.name for test in each.tests],
        }


def write_json(document: dict[str, Any], path: Path) -> None:
    """Write the report, and create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def command_of(arguments: Sequence[str], seed: int) -> str:
    """Return the command line that repeats the run: with the seed, and without passwords."""
    kept = []
    skips_value = False
    for argument in arguments:
        if skips_value:
            skips_value = False
        elif argument in ("--conformance-seed", "--conformance-report"):
            skips_value = True
        elif not argument.startswith(("--conformance-seed=", "--conformance-report=")):
            option, equals, value = argument.partition("=")
            kept.append(option + equals + _redact(value) if option.startswith("--") else _redact(argument))
    return shlex.join(["pytest", *kept, f"--conformance-seed={seed}"])


def _redact(argument: str) -> str:
    return redacted_url(argument) if "://" in argument else redacted_text(argument)


def distribution_of(backend: str) -> tuple[str | None, str | None]:
    """Return name and version of the distribution of a backend, or None if it is not installed."""
    for point in importlib.metadata.entry_points(group="aaow_storage", name=backend):
        if point.dist is not None:
            return point.dist.name, point.dist.version
    return None, None


def version_of(distribution: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def headline(backend: Backend, seed: int) -> str:
    """Return the line for the head of a run: contract, backend, Python and seed."""
    distribution, version = distribution_of(backend.name)
    origin = f" ({distribution} {version})" if distribution else ""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{contract_of(backend)}: {backend.name}{origin}, Python {python}, --conformance-seed={seed}"


def contract_of(backend: Backend) -> str:
    """Name the contract that a backend is held to, which it was built for, and the suite's if that is later."""
    if backend.contract == CONTRACT_VERSION:
        return f"storage contract {CONTRACT_VERSION}"
    return f"storage contract {backend.contract} (the suite has {CONTRACT_VERSION})"
