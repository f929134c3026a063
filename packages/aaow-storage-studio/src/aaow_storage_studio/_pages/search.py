"""The page `search`: looks for a text in the records of a period, and for records that have it as their id."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from aaow_storage import QueryFilter, StorageAdapter, UnsupportedOperationError, ValidationError
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.searching import MAX_STEP, STEP, Found, Step, search
from aaow_storage_studio._web.time_limits import within
from aaow_storage_studio._web.visit import Visit

PATIENCE_S = 10.0
"""How long a step may take: a backend of an older contract reads all sessions for it."""


@frozen
class SearchView:
    """What the page shows.

    Attributes:
        text: what is looked for, empty if nothing is.
        found: what a step found, None if nothing was looked for, or it took too long.
        same_id: the records that have the text as their id, each with its kind.
        step: how many records of a kind were read.
        problem: why nothing was found, None if there is no problem.
    """

    text: str
    found: Found | None
    same_id: Sequence[tuple[str, Any]]
    step: int
    problem: str | None = None

    @property
    def next_step(self) -> int:
        """How many records of a kind the next step reads."""
        return min(2 * self.step, MAX_STEP)

    @property
    def hits(self) -> int:
        """How many hits are shown."""
        return 0 if self.found is None else sum(len(each.hits) for each in self.found.kinds)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON; `next` has the parameters of the step before it in time."""
        found = self.found
        return {
            "text": self.text,
            "problem": self.problem,
            "same_id": [{"kind": kind, "record": record.to_dict()} for kind, record in self.same_id],
            "found": [] if found is None else [each.to_dict() for each in found.kinds],
            "since": None if found is None else _shown(found.since),
            "until": None if found is None else _shown(found.until),
            "next": None if not found or not found.since else {"until": _shown(found.since), "step": self.next_step},
        }


async def read(visit: Visit) -> SearchView:
    """Read the page: `text` is looked for in records until the instant `until`, of which `step` a kind are read.

    Raises:
        ValidationError: `until` is no instant.
    """
    text, given_step = visit.text("text"), visit.text("step")
    step = min(max(int(given_step[:9]), 1), MAX_STEP) if given_step.isdecimal() else STEP
    if not text:
        return SearchView("", None, (), step)
    until = _instant(visit.text("until"))
    same_id = None if until is not None else await within(PATIENCE_S, _of_id(visit.storage, text))
    found = await within(PATIENCE_S, search(visit.storage, text, Step(until, step)))
    problem = None if found is not None else f"was given up after {PATIENCE_S:g} s: the store has no index to look by"
    return SearchView(text, found, same_id or (), step, problem)


async def _of_id(storage: StorageAdapter, text: str) -> list[tuple[str, Any]]:
    """Return the records that have this id, each found by an index."""
    by_id = QueryFilter({"id": text}, limit=1, documents=False)
    sessions, workflows = await storage.list_sessions(by_id), await storage.list_workflows(by_id)
    calls = await storage.list_llm_executions(by_id)
    pool, approval = await storage.get_budget_pool(text), await storage.get_approval_request(text)
    found: list[tuple[str, Any]] = [("session", each) for each in sessions]
    found += [("llm_execution", each) for each in calls]
    found += [("workflow", each) for each in workflows]
    found += [("budget_pool", pool)] if pool is not None else []
    found += [("approval_request", approval)] if approval is not None else []
    try:
        events = await storage.get_stream_events(text, QueryFilter(limit=1))
    except UnsupportedOperationError:
        return found
    return [*found, *(("stream_event", event) for event in events)]


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValidationError("search", "until", f"must be an instant such as 2026-01-31T12:00:00Z, not {text[:100]!r}")
    return instant


def _shown(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


PAGES = (Page("search", "search.html", read),)
