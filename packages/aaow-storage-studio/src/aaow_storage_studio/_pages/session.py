"""The page `session`: a run as a waterfall of its nodes and what they did, with what failed first."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import frozen
from markupsafe import Markup

from aaow_storage import QueryFilter, Session, ToolCallLog
from aaow_storage_studio._drawing.time_axis import TimeAxis, time_axis
from aaow_storage_studio._drawing.waterfall import axis_picture
from aaow_storage_studio._web.anchors import anchor
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.run import APPROVAL, TOOL_CALL, Run, RunNode, Step
from aaow_storage_studio._web.run_problems import Problem, problems_of
from aaow_storage_studio._web.run_reading import read_run
from aaow_storage_studio._web.run_rows import NodeRow, Rows
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import view_session

MAX_RAW_CALLS = 300
"""How many model calls, and tool calls, a session has at most that is shown as it is stored."""
MAX_RAW_LENGTH = 3_000_000
"""How many characters of JSON are shown."""
OPEN_COUNTS_AS_BUSY = timedelta(minutes=10)
"""What has not ended counts as activity for so long: its process may be gone."""
LIVE_EVERY_S, LIVE_EVERY_S_IF_LARGE = 5, 30
LARGE_ROWS = 300
WATCHED_FOR = timedelta(days=1)
"""A session that has not changed for longer is not asked for again and again."""


@frozen(kw_only=True)
class SessionView:
    """What the page shows.

    Attributes:
        run: the session with its nodes.
        parent: the session that it is part of, without its document; None if there is none.
        axis: the time axis; None if nothing has begun.
        head: the axis as a picture.
        rows: the nodes that began, as rows.
        idle_nodes: those that did not begin.
        problems: what failed, the gravest first.
        waits: the approvals that it waits for.
        tools: the tool calls of the node that is open, with their results, by id.
        refresh_s: how often the page is asked for again; None if nothing more is expected.
        raw: all of the session as it is stored, if that was asked for.
        raw_left_out: why it is not all.
    """

    run: Run
    parent: Session | None
    axis: TimeAxis | None
    head: Markup | None
    rows: Sequence[NodeRow]
    idle_nodes: Sequence[RunNode]
    problems: Sequence[Problem]
    waits: Sequence[Step]
    tools: Mapping[str, ToolCallLog]
    refresh_s: int | None
    raw: Mapping[str, Any] | None
    raw_left_out: str | None

    @property
    def max_raw_length(self) -> int:
        """How many characters of JSON are shown."""
        return MAX_RAW_LENGTH

    @property
    def duration(self) -> timedelta:
        """How long the run took, or has taken up to now."""
        return (self.run.ended_at or self.run.read_at) - self.run.started_at

    def number_of(self, kind: str) -> int:
        """Return how many steps of a kind were read."""
        return sum(step.kind == kind for step in self.run.steps)

    def number_of_failed(self, kind: str) -> int:
        """Return how many of them failed."""
        return sum(step.kind == kind and step.state == "failed" for step in self.run.steps)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON, but for pictures."""
        run = self.run
        return {
            "session": run.session.to_dict(),
            "parent_session_id": run.session.parent_session_id,
            "started_at": run.started_at.isoformat(),
            "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
            "duration_s": self.duration.total_seconds(),
            "usage": run.usage.to_dict(),
            "tool_calls": self.number_of(TOOL_CALL),
            "approvals": self.number_of(APPROVAL),
            "problems": [problem.to_dict() for problem in self.problems],
            "waits_for": [step.id for step in self.waits],
            "nodes": [_node_dict(node) for node in run.nodes],
            "streams": [stream.to_dict() for stream in run.streams],
            "children": [child.id for child in run.children],
            "left_out": list(run.left_out),
            "raw": self.raw,
        }


async def read(visit: Visit) -> SessionView:
    """Read the session `id`; `open` names a node whose steps are all shown, `raw=yes` asks for its records as JSON."""
    session_id = visit.required("id")
    run = await read_run(visit, session_id, last=visit.text("calls") == "last")
    axis = _axis(run, is_linear=visit.text("axis") == "linear")
    opened = visit.request.query_params.get("open")
    rows = Rows(visit, run, axis, opened).rows() if axis is not None else []
    raw, raw_left_out = await _raw(visit, run) if visit.text("raw") else (None, None)
    parent_id = run.session.parent_session_id
    return SessionView(
        run=run,
        parent=None if parent_id is None else await visit.storage.get_session(parent_id),
        axis=axis,
        head=None if axis is None else axis_picture(axis),
        rows=rows,
        idle_nodes=[node for node in run.nodes if node.started_at is None],
        problems=problems_of(visit, run),
        waits=[step for step in run.steps if step.kind == APPROVAL and step.is_open],
        tools=await _tools_of(visit, run, opened),
        refresh_s=_refresh_s(run, len(rows)),
        raw=raw,
        raw_left_out=raw_left_out,
    )


def _axis(run: Run, *, is_linear: bool) -> TimeAxis | None:
    """Return the axis from the first beginning to the last end, or to now if the run is not over."""
    attempts = [attempt for node in run.nodes for attempt in node.attempts]
    begins = [attempt.started_at for attempt in attempts] + [step.started_at for step in run.steps]
    ends = [attempt.ended_at for attempt in attempts] + [step.ended_at for step in run.steps]
    instants = [instant for instant in (*begins, *ends) if instant is not None]
    if not any(begins):
        return None
    if run.state is not None and run.state.started_at is not None:
        instants.append(run.state.started_at)
    if not run.is_over:
        instants.append(run.read_at)
    elif run.ended_at is not None and run.state is not None and run.state.completed_at is not None:
        instants.append(run.ended_at)
    end = max(instants)
    return time_axis(min(instants), end, None if is_linear else _busy(run, end))


def _busy(run: Run, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return when something was done: calls, and nodes that did not wait for a decision."""
    found = [(step.started_at, step.ended_at) for step in run.steps if step.kind != APPROVAL]
    found += [(step.started_at, step.started_at) for step in run.steps if step.kind == APPROVAL]
    for node in run.nodes:
        if node.of_kind(APPROVAL) or node.status.startswith("waiting"):
            continue
        found += [(attempt.started_at, attempt.ended_at) for attempt in node.attempts if attempt.started_at is not None]
    ended = [(begin, min(end, begin + OPEN_COUNTS_AS_BUSY) if stop is None else stop) for begin, stop in found]
    return [(min(pair), max(pair)) for pair in ended]


async def _tools_of(visit: Visit, run: Run, node_id: str | None) -> dict[str, ToolCallLog]:
    """Return the tool calls that a node made itself, with their results, as far as they are shown."""
    if not node_id:
        return {}
    wanted = QueryFilter({"node_id": node_id, "execution_id": None}, limit=MAX_RAW_CALLS)
    calls = await visit.storage.get_session_tool_calls(run.session.id, wanted)
    return {call.id: call for call in calls}


def _refresh_s(run: Run, rows: int) -> int | None:
    if run.is_over or run.read_at - run.session.updated_at > WATCHED_FOR:
        return None
    return LIVE_EVERY_S if rows < LARGE_ROWS and len(run.steps) < LARGE_ROWS else LIVE_EVERY_S_IF_LARGE


async def _raw(visit: Visit, run: Run) -> tuple[Mapping[str, Any], str | None]:
    """Return the records of a session as JSON, and what is left out if they are too many."""
    steps = run.steps
    calls = max(run.usage.executions, sum(step.kind == TOOL_CALL for step in steps))
    if calls <= MAX_RAW_CALLS and not run.left_out:
        return (await view_session(visit.storage, run.session.id)).to_dict(), None
    state = None if run.state is None else run.state.to_dict()
    problem = f"Its calls are left out, because there are more than {MAX_RAW_CALLS}: `aaow-storage export` writes all."
    return {"session": run.session.to_dict(), "execution_state": state}, problem


def _node_dict(node: RunNode) -> dict[str, Any]:
    return {
        "id": node.id,
        "anchor": anchor("node", node.id),
        "kind": node.kind,
        "status": node.status,
        "attempts": [
            {
                "state": attempt.state,
                "started_at": None if attempt.started_at is None else attempt.started_at.isoformat(),
                "ended_at": None if attempt.ended_at is None else attempt.ended_at.isoformat(),
                "error": attempt.error,
            }
            for attempt in node.attempts
        ],
        "steps": [step.to_dict() for step in node.steps],
    }


PAGES = (Page("session", "session.html", read),)
