"""Looks for a text in records of a period, of which no more are read than a step may cost.

Texts have no index, so whatever looks for one reads all records that may have it. The period makes that few: it ends at
an instant and begins where a kind of record has had as many as a step reads. The next step ends where that one began.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from attrs import frozen

from aaow_storage import (
    All,
    ApprovalRequest,
    ApprovalStatus,
    Contains,
    FieldName,
    Gt,
    In,
    Le,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    ToolCallLog,
)
from aaow_storage_studio._web.excerpt import Excerpt, first_excerpt, pattern_of, spellings

STEP = 1_000
"""How many records of a kind a step reads, and of approvals as many of each status."""
MAX_STEP = 8_000
HITS = 50
"""How many hits of a kind are shown."""
_TICK = timedelta(microseconds=1)


@frozen
class Hit:
    """A record that has the text, and the place where it has it."""

    record: Any
    excerpt: Excerpt


@frozen
class Hits:
    """The hits of a kind, newest first, and whether there are more of them."""

    kind: str
    hits: Sequence[Hit]
    has_more: bool

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        hits = [
            {"record": hit.record.to_dict(), "field": hit.excerpt.where, "text": hit.excerpt.text} for hit in self.hits
        ]
        return {"kind": self.kind, "hits": hits, "has_more": self.has_more}


@frozen
class Found:
    """What a step found.

    Attributes:
        kinds: the hits, kind by kind.
        since: what the period begins after; None if there is nothing before it.
        until: where it ends, None for the newest records.
    """

    kinds: Sequence[Hits]
    since: datetime | None
    until: datetime | None


@frozen
class Step:
    """Where a step ends, None for now and after, and how many records of a kind it reads."""

    until: datetime | None
    records: int

    def filter(self, time: str, where: Mapping[FieldName, Any]) -> QueryFilter:
        """Return the filter of the newest records until the end, one more than the step reads."""
        limits: dict[FieldName, Any] = {**where, **({} if self.until is None else {time: Le(self.until)})}
        return QueryFilter(limits, OrderBy(time, "desc"), self.records + 1, documents=False)


@frozen
class _Kind:
    """A kind of record: what it is called, the field of its time, and its texts."""

    name: str
    time: str
    texts: Callable[[Any], Iterable[tuple[str, Any]]]

    def hits(self, records: Iterable[Any], pattern: re.Pattern[str], since: datetime | None) -> list[Hit]:
        """Return those of the records after an instant that have the text."""
        period = (each for each in records if since is None or self.made_at(each) > since)
        found = ((record, first_excerpt(self.texts(record), pattern)) for record in period)
        return [Hit(record, place) for record, place in found if place is not None]

    def made_at(self, record: Any) -> datetime:
        """Return the time of a record."""
        made_at: datetime = getattr(record, self.time)
        return made_at


_SESSION = _Kind("session", "created_at", lambda each: (("id", each.id), ("metadata", each.metadata)))
_CALL = _Kind(
    "llm_execution", "timestamp", lambda each: (("error", each.error), ("text", each.text), ("model", each.model))
)
_TOOL_CALL = _Kind("tool_call", "timestamp", lambda each: (("error", each.error), ("tool", each.tool_name)))
_APPROVAL = _Kind(
    "approval_request",
    "created_at",
    lambda each: (("notes", each.resolution_notes), ("decided by", each.resolved_by), ("context", each.context)),
)
_WORKFLOW = _Kind("workflow", "created_at", lambda each: (("name", each.name), ("id", each.id)))


@frozen
class _Read:
    """Records of a kind that a step read, and when the first was made that is too many, None if there is none."""

    kind: _Kind
    records: Sequence[Any]
    goes_back_to: datetime | None


async def search(storage: StorageAdapter, text: str, step: Step) -> Found:
    """Look for a text, in any case, in the newest records until the end of the step."""
    calls = await _newest(storage.list_llm_executions, _CALL, step)
    reads = [
        await _newest(storage.list_sessions, _SESSION, step),
        calls,
        *[await _approvals(storage, status, step) for status in ApprovalStatus],
        await _newest(storage.list_workflows, _WORKFLOW, step),
    ]
    since = max((read.goes_back_to for read in reads if read.goes_back_to is not None), default=None)
    since = await _first_call_of_nodes(storage, step, since) or since
    if since is not None and step.until is not None and since >= step.until:
        since = step.until - _TICK  # more were made at that instant than a step reads; those are left out
    pattern = pattern_of(text)
    hits: dict[_Kind, list[Hit]] = {}
    for read in reads:
        hits.setdefault(read.kind, []).extend(read.kind.hits(read.records, pattern, since))
    executions = [each.id for each in calls.records if since is None or each.timestamp > since]
    hits[_TOOL_CALL] = _TOOL_CALL.hits(await _tool_calls(storage, text, executions, since, step.until), pattern, None)
    return Found([_shown(kind, found) for kind, found in hits.items()], since, step.until)


async def _newest(
    lister: Callable[[QueryFilter], Awaitable[list[Any]]],
    kind: _Kind,
    step: Step,
    where: Mapping[FieldName, Any] = MappingProxyType({}),
) -> _Read:
    records = await lister(step.filter(kind.time, where))
    goes_back_to = kind.made_at(records[step.records]) if len(records) > step.records else None
    return _Read(kind, records[: step.records], goes_back_to)


async def _approvals(storage: StorageAdapter, status: ApprovalStatus, step: Step) -> _Read:
    """Read the newest approvals of a status, which their index begins with."""

    async def lister(filter: QueryFilter) -> list[ApprovalRequest]:
        return await storage.list_approval_requests(filter=filter)

    return await _newest(lister, _APPROVAL, step, {"status": status})


async def _first_call_of_nodes(storage: StorageAdapter, step: Step, since: datetime | None) -> datetime | None:
    """Return when the first tool call of a node in the period was made that is too many, if there is one.

    They are looked through by the store. Those of model calls are as few as those are.
    """
    where = _calls_of_nodes(since, step.until)
    first = QueryFilter(where, OrderBy("timestamp", "desc"), limit=1, offset=step.records)
    calls = await storage.list_tool_calls(first)
    return calls[0].timestamp if calls else None


def _calls_of_nodes(since: datetime | None, until: datetime | None) -> dict[FieldName, Any]:
    """Return the conditions for the tool calls of a period that no model call has."""
    limits = [*([] if since is None else [Gt(since)]), *([] if until is None else [Le(until)])]
    return {"execution_id": None, **({"timestamp": All(*limits)} if limits else {})}


async def _tool_calls(
    storage: StorageAdapter, text: str, executions: Sequence[str], since: datetime | None, until: datetime | None
) -> list[ToolCallLog]:
    """Return the tool calls of these model calls, and those of nodes in the period, that have the text."""
    has_text: list[Mapping[FieldName, Any]] = [
        {field: Contains(spelling)} for field in ("error", "tool_name") for spelling in spellings(text)
    ]
    of_models: dict[FieldName, Any] = {"execution_id": In(executions)}
    found: list[ToolCallLog] = []
    for where in (of_models, _calls_of_nodes(since, until)):
        newest = QueryFilter(where, OrderBy("timestamp", "desc"), HITS + 1, any_of=has_text)
        found += await storage.list_tool_calls(newest)
    return found


def _shown(kind: _Kind, hits: list[Hit]) -> Hits:
    newest = sorted(hits, key=lambda hit: kind.made_at(hit.record), reverse=True)
    return Hits(kind.name, newest[:HITS], len(newest) > HITS)
