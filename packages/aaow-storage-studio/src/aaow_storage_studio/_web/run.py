"""`Run`: a session as its nodes, what each of them did and when, made from its records."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from aaow_storage import (
    ApprovalRequest,
    LLMExecution,
    NodeExecutionState,
    Session,
    StreamSummary,
    ToolCallLog,
    UsageSummary,
    WorkflowExecutionState,
)
from aaow_storage_studio._web.formats import one_line

UNKNOWN = "unknown"
"""The state of a node that has calls, but whose state was not saved."""
MODEL_CALL, TOOL_CALL, APPROVAL = "model_call", "tool_call", "approval"
WORDS = {MODEL_CALL: "model call", TOOL_CALL: "tool call", APPROVAL: "approval"}
ENDED = frozenset({"completed", "failed", "skipped", "cancelled"})


@frozen(kw_only=True)
class Step:
    """One thing that a node did: a model call, a tool call or an approval.

    Attributes:
        kind: which of these.
        id: that of the record.
        node_id: the node.
        name: the model, the tool, or the type of the approval.
        state: "running", "completed", "failed", or the status of the approval.
        started_at: when it began.
        ended_at: when it ended; None if it goes on, or if nobody knows.
        is_open: whether it goes on.
        error: what went wrong.
        call_id: the model call that asked for a tool call.
        preview: the answer, the arguments or the question, on one line.
        tokens: how many tokens it used, None if that is not known.
        costs: what it cost, by currency.
        expires_at: when an open approval expires.
    """

    kind: str
    id: str
    node_id: str
    name: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    is_open: bool = False
    error: str | None = None
    call_id: str | None = None
    preview: str = ""
    tokens: int | None = None
    costs: Mapping[str, Decimal] = field(factory=dict)
    expires_at: datetime | None = None

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None if it goes on, or if nobody knows."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "started_at": _iso(self.started_at),
            "ended_at": _iso(self.ended_at),
            "error": self.error,
            "call_id": self.call_id,
            "tokens": self.tokens,
            "costs": {currency: f"{cost:f}" for currency, cost in self.costs.items()},
        }


@frozen
class Attempt:
    """One attempt at a node; the last may go on."""

    state: str
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    output: Any


@frozen(kw_only=True)
class RunNode:
    """A node of a run.

    Attributes:
        id: the node.
        kind: its kind in the definition, such as "llm"; empty if it has none.
        label: what the definition calls it, if that is not its id.
        state: its state, None if none was saved.
        steps: what it did by time; tool calls follow the model call that asked for them.
    """

    id: str
    kind: str = ""
    label: str = ""
    state: NodeExecutionState | None = None
    steps: Sequence[Step] = ()

    @property
    def status(self) -> str:
        """Its status, as a text."""
        return UNKNOWN if self.state is None else str(self.state.status)

    @property
    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first; none if no state was saved."""
        state = self.state
        if state is None:
            return []
        earlier = [
            Attempt(str(each.status), each.started_at, each.completed_at, each.error, each.output)
            for each in state.attempts
        ]
        return [*earlier, Attempt(self.status, state.started_at, state.completed_at, state.error, state.output)]

    @property
    def started_at(self) -> datetime | None:
        """When the first attempt or step began; None if nothing did."""
        began = [attempt.started_at for attempt in self.attempts if attempt.started_at is not None]
        return min([*began, *(step.started_at for step in self.steps)], default=None)

    @property
    def duration(self) -> timedelta | None:
        """From the beginning of the first attempt to the end of the last; None if it has not both."""
        began = [attempt.started_at for attempt in self.attempts if attempt.started_at is not None]
        if self.state is None or self.state.completed_at is None or not began:
            return None
        return self.state.completed_at - min(began)

    @property
    def tokens(self) -> int | None:
        """How many tokens its model calls used, None if nobody knows."""
        return sum_or_none(step.tokens for step in self.steps)

    @property
    def costs(self) -> Mapping[str, Decimal]:
        """What its model calls cost, by currency."""
        return sum_of_costs(step.costs for step in self.steps)

    def of_kind(self, kind: str) -> list[Step]:
        """Return its steps of a kind."""
        return [step for step in self.steps if step.kind == kind]


@frozen(kw_only=True)
class Run:
    """A session as its nodes.

    Attributes:
        session: the session.
        state: its execution state, None if none was saved.
        nodes: its nodes in the order in which they began; those that did not begin follow in that of the definition.
        usage: what all its model calls used.
        streams: its streams, without their events.
        children: the sessions that it is the parent of, without their documents.
        left_out: what is not in it because there is too much, as sentences.
        read_at: when it was read.
    """

    session: Session
    state: WorkflowExecutionState | None
    nodes: Sequence[RunNode]
    usage: UsageSummary
    streams: Sequence[StreamSummary]
    children: Sequence[Session]
    left_out: Sequence[str]
    read_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether nothing more is expected."""
        return str(self.session.status) in ENDED

    @property
    def started_at(self) -> datetime:
        """When it began: its state says so, or the session was made then."""
        return self.session.created_at if self.state is None or self.state.started_at is None else self.state.started_at

    @property
    def ended_at(self) -> datetime | None:
        """When it ended; None if it has not."""
        if not self.is_over:
            return None
        ended = None if self.state is None else self.state.completed_at
        return self.session.updated_at if ended is None else ended

    @property
    def steps(self) -> list[Step]:
        """All steps of all nodes."""
        return [step for node in self.nodes for step in node.steps]


def model_step(call: LLMExecution) -> Step:
    """Return a model call as a step."""
    usage, cost = call.usage, call.cost
    return Step(
        kind=MODEL_CALL,
        id=call.id,
        node_id=call.node_id,
        name=call.model or "model call",
        state="running" if call.success is None else "completed" if call.success else "failed",
        started_at=call.timestamp,
        ended_at=call.completed_at,
        is_open=call.success is None and call.completed_at is None,
        error=(call.error or "It failed, and does not say why.") if call.success is False else None,
        preview=one_line(call.text or " ".join(tool.tool_name for tool in call.tool_calls or ())),
        tokens=None if usage is None else usage.total_tokens,
        costs={} if cost is None or call.currency is None else {call.currency: cost},
    )


def tool_step(call: ToolCallLog, node_id: str) -> Step:
    """Return a tool call as a step."""
    duration = None if call.duration_ms is None else timedelta(milliseconds=call.duration_ms)
    return Step(
        kind=TOOL_CALL,
        id=call.id,
        node_id=node_id,
        name=call.tool_name,
        state="completed" if call.error is None else "failed",
        started_at=call.timestamp,
        ended_at=None if duration is None else call.timestamp + duration,
        error=call.error,
        call_id=call.execution_id,
        preview=one_line(call.args) if call.args else "",
    )


def approval_step(request: ApprovalRequest, at: datetime) -> Step:
    """Return a request for approval as a step; a pending one that has expired by now is "expired"."""
    has_expired = str(request.status) == "pending" and request.expires_at is not None and request.expires_at <= at
    question = request.context.get("question") or request.context
    ended_at = request.resolved_at
    if ended_at is None and (has_expired or str(request.status) == "expired"):
        ended_at = request.expires_at
    return Step(
        kind=APPROVAL,
        id=request.id,
        node_id=request.node_id,
        name=str(request.type).replace("_", " "),
        state="expired" if has_expired else str(request.status),
        started_at=request.created_at,
        ended_at=ended_at,
        is_open=str(request.status) == "pending" and not has_expired,
        preview=one_line(question) if question else "",
        expires_at=request.expires_at,
    )


def in_order(steps: Iterable[Step]) -> list[Step]:
    """Return steps by time, with the tool calls of a model call behind it."""
    of_call: dict[str, list[Step]] = defaultdict(list)
    first: list[Step] = []
    by_time = sorted(steps, key=lambda step: (step.started_at, step.kind != MODEL_CALL, step.id))
    calls = {step.id for step in by_time if step.kind == MODEL_CALL}
    for step in by_time:
        if step.call_id in calls:
            of_call[step.call_id or ""].append(step)
        else:
            first.append(step)
    return [each for step in first for each in (step, *(of_call[step.id] if step.kind == MODEL_CALL else ()))]


def sum_or_none(numbers: Iterable[int | None]) -> int | None:
    """Return the sum of those that are known, None if none is."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def sum_of_costs(costs: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Return the sums by currency."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for each in costs:
        for currency, cost in each.items():
            sums[currency] += cost
    return dict(sums)


def _iso(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat().replace("+00:00", "Z")
