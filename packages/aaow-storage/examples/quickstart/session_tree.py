"""Draws a session as a tree: its steps, their model calls, and the tool calls of these, with time, tokens and cost."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from aaow_storage import ApprovalStatus, LLMExecution, NodeExecutionStatus
from definition import Node
from findings import Findings, cached_tokens_of, cost_of, text_of, tokens_of

MANY_STEPS = 24
FIRST, LAST, NOTABLE = 6, 4, 6
"""Of more than `MANY_STEPS`, how many are shown: from the start, from the end, and with retries or decisions."""

_MARKS = {NodeExecutionStatus.COMPLETED: ("✓", "green"), NodeExecutionStatus.FAILED: ("✗", "red")}


def session_tree(found: Findings) -> Tree:
    """Draw the session."""
    label = Text(f"Session {found.session.status}, {len(found.nodes)} steps", style="bold")
    took = duration(found.state.started_at, found.state.completed_at)
    tree = Tree(_row(label, took, list(found.executions_of(found.nodes))), guide_style="dim")
    for is_shown, group in groupby(found.nodes, key=_shown_steps(found).__contains__):
        if is_shown:
            for node in group:
                _add_step(tree, found, node)
        else:
            _add_hidden(tree, found, list(group))
    return tree


def table_head() -> Table:
    """Return the names of the columns of the tree's rows."""
    return _columns(Text(), ("time", "tokens", "cached", "USD"), style="dim")


def duration(start: datetime | None, end: datetime | None) -> str:
    """Return how long something took, or "" if it is not known."""
    if start is None or end is None:
        return ""
    seconds = (end - start).total_seconds()
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _shown_steps(found: Findings) -> set[Node]:
    if len(found.nodes) <= MANY_STEPS:
        return set(found.nodes)
    notable = [node for node in found.nodes if found.decisions_on(node) or found.state_of(node).retry_count]
    return {*found.nodes[:FIRST], *notable[:NOTABLE], *found.nodes[-LAST:]}


def _add_step(tree: Tree, found: Findings, node: Node) -> None:
    state = found.state_of(node)
    mark, style = _MARKS.get(state.status, ("·", ""))
    star = "*" if node.is_added else ""
    retries = f"  {len(state.attempts) + 1} attempts" if state.attempts else ""
    label = Text.assemble((mark, style), (f" {node.kind:9} ", "cyan"), (node.name, "bold"), star, (retries, "yellow"))
    calls = found.executions.get(node.id, ())
    branch = tree.add(_row(label, duration(state.started_at, state.completed_at), calls))
    for call in calls:
        _add_call(branch, found, call)
    for request in found.decisions_on(node):
        style = "green" if request.status is ApprovalStatus.APPROVED else "red"
        said = Text(f"{request.type} {request.status} by {request.resolved_by}", style=style)
        branch.add(_row(said, duration(request.created_at, request.resolved_at)))
    events = found.events.get(node.id, ())
    for number, event in enumerate(events, 1):
        branch.add(_row(Text(f"event {number} of {len(events)}: {text_of(event)}", style="magenta")))


def _add_call(branch: Tree, found: Findings, call: LLMExecution) -> None:
    answer = (f'"{call.text}"', "italic") if call.success else (call.error or "still running", "red")
    label = Text.assemble((f"{call.model}: ", "dim"), answer)
    under = branch.add(_row(label, duration(call.timestamp, call.completed_at), [call]))
    for tool_call in found.tool_calls.get(call.id, ()):
        result = tool_call.result if isinstance(tool_call.result, dict) else {"result": tool_call.result}
        said = ", ".join(f"{key}: {value}" for key, value in result.items())
        took = "" if tool_call.duration_ms is None else f"{tool_call.duration_ms:.2f} ms"
        under.add(_row(Text.assemble((tool_call.tool_name, "blue"), f"  {said}"), took))


def _add_hidden(tree: Tree, found: Findings, nodes: Sequence[Node]) -> None:
    """Add one row for many steps."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(node.kind for node in nodes).most_common())
    statuses = {found.state_of(node).status for node in nodes}
    label = Text(f"... {len(nodes)} more, {' or '.join(sorted(statuses))}: {kinds}", style="dim")
    states = [found.state_of(node) for node in nodes]
    tree.add(_row(label, duration(states[0].started_at, states[-1].completed_at), list(found.executions_of(nodes))))


def _row(label: Text, took: str = "", calls: Sequence[LLMExecution] = ()) -> Table:
    tokens = tokens_of(calls)
    figures = (f"{tokens:,}", f"{cached_tokens_of(calls):,}", f"{cost_of(calls):.4f}") if tokens else ("", "", "")
    return _columns(label, (took, *figures))


def _columns(label: Text, figures: tuple[str, str, str, str], style: str = "") -> Table:
    """Return a row with its figures (time, tokens, those from a cache, cost) at the right edge, in columns."""
    row = Table.grid(expand=True, padding=(0, 0, 0, 1))
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for width in (9, 8, 8, 7):
        row.add_column(width=width, justify="right", no_wrap=True)
    row.add_row(label, *figures, style=style)
    return row
