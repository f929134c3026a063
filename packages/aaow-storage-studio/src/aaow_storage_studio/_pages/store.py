"""The page `store`: what is in the store, how large it is, what is to be said against it, and what a check finds."""

import asyncio
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from markupsafe import Markup

from aaow_storage import StorageError
from aaow_storage.authoring import Durability, SchemaStatus, StoreMaintenance, redacted_text
from aaow_storage_studio._drawing.bars import Bar, Part, bars
from aaow_storage_studio._web import formats
from aaow_storage_studio._web.installed_backends import InstalledBackend, installed_backends
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.time_limits import within
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import (
    CheckReport,
    Finding,
    KindCount,
    StoreDescription,
    check_store,
    describe_contents,
    describe_store,
)

USUAL_PATIENCE_S = 0.5
"""How long may take what nobody asked for."""
PATIENCE_S = 60.0
"""How long may take what was asked for."""
MAX_FINDINGS = 200
_PAGES_OF_KINDS = {
    "workflow": "workflow",
    "session": "session",
    "execution_state": "session",
    "approval_request": "approval",
    "budget_pool": "budget",
}
"""The page of a record by its kind; it takes the id that a finding names."""


@frozen(kw_only=True)
class Check:
    """What a check found.

    Attributes:
        findings: the first findings, each with where its record is shown, or None.
        report: the report, None if the check took too long, or the store cannot be read.
        problem: why there is no report.
    """

    findings: Sequence[tuple[Finding, str | None]]
    report: CheckReport | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "report": None if self.report is None else self.report.to_dict(),
            "findings": [finding.to_dict() for finding, _ in self.findings],
            "problem": self.problem,
        }


@frozen(kw_only=True)
class StoreView:
    """What the page shows.

    Attributes:
        place: the store, as its maintenance names it; None if there is no maintenance.
        capabilities: what the store can do.
        backends: the installed backends.
        description: sizes, durability, schema and warnings; without sizes if these take too long.
        has_sizes: whether the sizes are there, if the backend offers them; they may take too long.
        kinds: how much of what there is, None if counting takes too long.
        is_exact: whether everything was counted.
        check: what a check found, None if nobody asked for one.
        problem: why the backend cannot describe the store.
    """

    place: str | None
    capabilities: Sequence[str]
    backends: Sequence[InstalledBackend]
    description: StoreDescription
    has_sizes: bool
    kinds: Sequence[KindCount] | None
    is_exact: bool
    check: Check | None
    problem: str | None
    patience_s: float = PATIENCE_S
    max_findings: int = MAX_FINDINGS

    @property
    def backend(self) -> InstalledBackend | None:
        """The backend of the store, if it can be told."""
        return next((each for each in self.backends if each.is_of_store), None)

    @property
    def size_bars(self) -> Markup | None:
        """The sizes of the tables as bars."""
        sizes = self.description.sizes
        if sizes is None or not sizes.tables:
            return None
        drawn = [
            Bar(
                table.name,
                formats.byte_count(table.table_bytes + table.index_bytes),
                [
                    Part(table.table_bytes, "series-1", f"rows {formats.byte_count(table.table_bytes)}"),
                    Part(table.index_bytes, "series-2", f"indexes {formats.byte_count(table.index_bytes)}"),
                ],
            )
            for table in sizes.tables
        ]
        return bars(drawn, "Sizes of the tables")

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        sizes = self.description.sizes
        return {
            "place": self.place,
            "capabilities": list(self.capabilities),
            "backends": [each.to_dict() for each in self.backends],
            "kinds": None if self.kinds is None else [_kind_dict(each) for each in self.kinds],
            "sizes": None
            if sizes is None
            else {
                "total_bytes": sizes.total_bytes,
                "free_bytes": sizes.free_bytes,
                "tables": [
                    {"name": table.name, "table_bytes": table.table_bytes, "index_bytes": table.index_bytes}
                    for table in sizes.tables
                ],
            },
            "durability": _durability_dict(self.description.durability),
            "schema_version": _schema_dict(self.description.schema),
            "warnings": list(self.description.warnings),
            "check": None if self.check is None else self.check.to_dict(),
            "problem": self.problem,
        }


async def read(visit: Visit) -> StoreView:
    """Read the page: `exact=yes` counts everything, `sizes=yes` takes its time for sizes, `check=yes` checks."""
    is_exact, is_checked = bool(visit.text("exact")), bool(visit.text("check"))
    contents = describe_contents(visit.storage, exact=is_exact)
    (description, has_sizes, problem), kinds = await asyncio.gather(
        _description(visit, in_full=bool(visit.text("sizes"))),
        within(PATIENCE_S if is_exact else USUAL_PATIENCE_S, contents),
    )
    return StoreView(
        place=None if visit.maintenance is None else visit.maintenance.place,
        capabilities=sorted(map(str, visit.storage.capabilities)),
        backends=installed_backends(visit.storage, visit.maintenance),
        description=visit.storage.redacted(description),
        has_sizes=has_sizes,
        kinds=kinds,
        is_exact=is_exact,
        check=await _check(visit) if is_checked else None,
        problem=problem,
    )


class _WithoutSizes(StoreMaintenance):
    """The maintenance of a store whose sizes take too long."""

    def __init__(self, maintenance: StoreMaintenance) -> None:
        self._maintenance = maintenance

    @property
    def place(self) -> str:
        return self._maintenance.place

    async def durability(self) -> Durability:
        return await self._maintenance.durability()

    async def schema_status(self) -> SchemaStatus:
        return await self._maintenance.schema_status()


async def _description(visit: Visit, *, in_full: bool) -> tuple[StoreDescription, bool, str | None]:
    """Return what the backend says of the store, whether its sizes did not take too long, and why it says nothing."""
    maintenance = visit.maintenance
    try:
        found = await within(PATIENCE_S if in_full else USUAL_PATIENCE_S, describe_store(maintenance))
        if found is not None or maintenance is None:
            return found or StoreDescription(), True, None
        return await describe_store(_WithoutSizes(maintenance)), False, None
    except StorageError as error:
        return StoreDescription(), True, _said(visit, error)


async def _check(visit: Visit) -> Check:
    """Check the store as it is, because what is redacted may seem wrong; only what is found is redacted."""
    findings: list[tuple[Finding, str | None]] = []

    def take(finding: Finding) -> None:
        if len(findings) < MAX_FINDINGS:
            findings.append((visit.storage.redacted(finding), _link(visit, finding)))

    work = check_store(visit.storage.wrapped, maintenance=visit.maintenance, max_findings=0, on_finding=take)
    try:
        report = await within(PATIENCE_S, work)
    except StorageError as error:
        return Check(findings=findings, problem=f"The store cannot be read: {_said(visit, error)}")
    if report is None:
        problem = f"The check takes more than {PATIENCE_S:.0f} s here, and was given up: run `aaow-storage check`."
        return Check(findings=findings, problem=problem)
    return Check(findings=findings, report=report)


def _said(visit: Visit, error: StorageError) -> str:
    return str(visit.storage.redacted(redacted_text(str(error))))


def _link(visit: Visit, finding: Finding) -> str | None:
    """Return where the record of a finding is shown, None if it has no page."""
    page = _PAGES_OF_KINDS.get(finding.kind or "")
    if page is not None:
        return visit.url(page, id=finding.id)
    if finding.kind == "llm_execution":
        quoted = finding.id.replace("\\", "\\\\").replace('"', '\\"')
        return visit.url("model-calls", q=f'id="{quoted}"')
    return None


def _kind_dict(each: KindCount) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "count": each.count,
        "is_exact": each.is_exact,
        "by_status": dict(each.by_status),
        "oldest": formats.iso(each.oldest) or None,
        "newest": formats.iso(each.newest) or None,
    }


def _durability_dict(durability: Durability | None) -> dict[str, str] | None:
    return None if durability is None else dict(durability.settings)


def _schema_dict(schema: SchemaStatus | None) -> dict[str, Any] | None:
    if schema is None:
        return None
    return {
        "found": schema.found,
        "expected": schema.expected,
        "is_current": schema.is_current,
        "pending": list(schema.pending),
    }


PAGES = (Page("store", "store.html", read),)
