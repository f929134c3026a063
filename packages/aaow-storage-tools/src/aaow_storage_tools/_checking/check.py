"""`check_store`: reads every record of a store, and tells what is wrong with it."""

import ast
import functools
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from aaow_storage import Capability, QueryFilter, StorageAdapter
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_tools._belongings import lists_events
from aaow_storage_tools._checking import rules
from aaow_storage_tools._checking.backend_findings import findings_of_backend
from aaow_storage_tools._checking.findings import CheckReport, Finding, Problem
from aaow_storage_tools._checking.pools import check_sums, repaired_status
from aaow_storage_tools._checking.reading import Page, read_pages
from aaow_storage_tools._checking.references import References
from aaow_storage_tools._kinds import KINDS, STREAM_EVENT, Kind
from aaow_storage_tools._pages import order_of
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

_RULES: dict[str, Callable[[Any], Iterator[Finding]]] = {
    "workflow": rules.check_workflow,
    "session": rules.check_session,
    "execution_state": rules.check_state,
    "llm_execution": rules.check_execution,
    "budget_pool": rules.check_pool,
    "approval_request": rules.check_request,
}
_NAMED = re.compile(
    r"(?:with the (?:session_)?id|StoredWorkflow|Session|LLMExecution|State|BudgetPool|ApprovalRequest|StreamEvent) "
    r"""('(?:[^'\\]|\\.)+'|"(?:[^"\\]|\\.)+")"""
)
"""What names a record in the errors of the backends of this project."""
_NOT_ASKED = "the files or tables themselves, digests, and documents that nobody refers to: the backend was not asked"


async def check_store(
    storage: StorageAdapter,
    *,
    maintenance: StoreMaintenance | None = None,
    repair: bool = False,
    max_findings: int = 10_000,
    on_finding: Callable[[Finding], None] | None = None,
    progress: ProgressCallback | None = None,
) -> CheckReport:
    """Read every record of a store, and return what is wrong with it.

    It reads page by page, in memory that does not grow with the store. Others may go on writing: what two reads seem to
    contradict is read again before it is reported. Without `repair`, nothing is changed.

    Args:
        storage: the store, open.
        maintenance: what `maintenance_of` returns for the same store. Without it, what only the backend can tell is not
            checked, and the report says so.
        repair: whether to repair what can be repaired without losing anything: documents that nobody refers to are
            deleted, and counters and statuses that follow from other values are set to what they should be.
        max_findings: how many findings the report keeps; all are counted.
        on_finding: called with each finding, as it is found.
        progress: told how many records were read.

    Raises:
        StorageError: the store cannot be read at all.
    """
    check = _Check(storage, max_findings, on_finding or (lambda _: None), progress or ignore_progress)
    if maintenance is None:
        check.skipped.append(_NOT_ASKED)
    else:
        async for finding in findings_of_backend(maintenance, check.skipped, repair=repair):
            check.take(finding)
    has_checked_documents = maintenance is not None and not check.skipped
    for kind in KINDS:
        await check.read_kind(kind, documents=not has_checked_documents, repair=repair)
    async for finding in check_sums(storage):
        check.take(finding)
    return check.report()


class _Check:
    """A check under way."""

    def __init__(
        self,
        storage: StorageAdapter,
        max_findings: int,
        on_finding: Callable[[Finding], None],
        progress: ProgressCallback,
    ) -> None:
        self._storage = storage
        self._max_findings = max_findings
        self._on_finding = on_finding
        self._progress = progress
        self._references = References(storage)
        self._findings: list[Finding] = []
        self._counts: Counter[str] = Counter()
        self._records: dict[str, int] = {}
        self._repaired = 0
        self.skipped: list[str] = []

    def report(self) -> CheckReport:
        return CheckReport(
            records=self._records,
            counts={str(problem): count for problem, count in self._counts.items()},
            findings=tuple(self._findings),
            repaired=self._repaired,
            skipped=tuple(self.skipped),
        )

    def take(self, finding: Finding) -> None:
        self._counts[finding.problem] += 1
        self._repaired += finding.is_repaired
        if len(self._findings) < self._max_findings:
            self._findings.append(finding)
        self._on_finding(finding)

    async def read_kind(self, kind: Kind[Any], *, documents: bool, repair: bool) -> None:
        """Check all records of a kind."""
        if kind is STREAM_EVENT and not lists_events(self._storage):
            if Capability.STREAM_EVENTS in self._storage.capabilities:
                self.skipped.append("the stream events: the backend has no list of all of them")
            return
        rule = _RULES.get(kind.name)
        read = 0
        async for page in _pages_of(self._storage, kind, documents=documents):
            if page.error is not None:
                self._take_unreadable(kind, page)
            for record in page.records:
                for finding in rule(record) if rule is not None else ():
                    is_repaired = repair and finding.is_repairable
                    self.take(await repaired_status(self._storage, record, finding) if is_repaired else finding)
            for finding in await self._references.check(kind, page.records):
                self.take(finding)
            read += len(page.records)
            self._progress(Progress(what=f"checking {kind.name.replace('_', ' ')}s", done=read))
        self._records[kind.name] = read

    def _take_unreadable(self, kind: Kind[Any], page: Page[Any]) -> None:
        self.take(
            Finding(
                problem=Problem.UNREADABLE,
                kind=kind.name,
                id=_id_in(str(page.error), None if page.after is None else kind.id_of(page.after)),
                message=str(page.error),
                remedy="restore it from a backup, or delete it if its loss can be borne",
            )
        )
        if page.is_last:
            self.skipped.append(f"the {kind.name.replace('_', ' ')}s after those that cannot be read")


async def _pages_of(storage: StorageAdapter, kind: Kind[Any], *, documents: bool) -> AsyncIterator[Page[Any]]:
    """Yield all records of a kind; if the backend has no list over all sessions, session by session."""
    everything = QueryFilter(order_by=order_of(kind), documents=documents)
    of_session = kind.list_of_session
    if of_session is None or kind.lists_whole_store(storage):
        async for page in read_pages(lambda page: kind.list_page(storage, page), everything):
            yield page
        return
    async for sessions in read_pages(storage.list_sessions, QueryFilter(documents=False)):
        for session in sessions.records:
            async for page in read_pages(functools.partial(of_session, storage, session.id), everything):
                yield page


def _id_in(message: str, last: str | None) -> str:
    """Return the id that an error names; without one, the place in the list: errors need not name a record."""
    named = _NAMED.search(message)
    if named is not None:
        return str(ast.literal_eval(named.group(1)))
    return "the first one" if last is None else f"the one after {last!r}"
