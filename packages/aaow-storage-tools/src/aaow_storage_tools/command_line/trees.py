"""The trees of `show session` and `show budget`, drawn to the width of the terminal."""

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from aaow_storage import (
    JSON,
    ApprovalStatus,
    BudgetPool,
    BudgetPoolStatus,
    LLMExecution,
    NodeExecutionStatus,
    SessionStatus,
)
from aaow_storage.authoring import dumps_unchecked
from aaow_storage_tools._looking.budget_view import BudgetView
from aaow_storage_tools._looking.session_view import NodeView, SessionView, costs_of, tokens_of
from aaow_storage_tools.command_line.columns import age_text, duration_text, outcome_of
from aaow_storage_tools.command_line.tables import printable, rounded, text_of

MAX_WIDTH = 120
"""How wide the tree of a session is at most: its figures stand at the right edge."""

MAX_LINE = 200
"""How many characters of a text a tree shows where it is not cut off by the terminal."""
BAR_LENGTH = 14

_FIGURES = (("time", 11), ("tokens", 8), ("cost", 12))
_STYLES = {
    "completed": "green",
    "ok": "green",
    "approved": "green",
    "failed": "red",
    "rejected": "red",
    "expired": "red",
    "running": "yellow",
    "pending": "yellow",
}
_MARKS = {"completed": "+", "failed": "!", "running": ">", "skipped": "-", "cancelled": "-"}


def session_tree(view: SessionView) -> RenderableType:
    """Return a session as a tree: what went wrong first, then the nodes with their attempts and calls."""
    session, state = view.session, view.state
    parts: list[RenderableType] = [_session_heading(view)]
    if view.errors:
        parts.append(Text("\nErrors", style="bold red"))
        parts += [Text(f"  {printable(where)}: {_one_line(error)}", style="red") for where, error in view.errors]
    calls = [call for node in view.nodes for call in node.executions]
    took = "" if state is None or state.completed_at is None or state.started_at is None else duration_text(
        state.completed_at - state.started_at
    )  # fmt: skip
    label = Text.assemble("session ", _status(session.status), f", {len(view.nodes)} nodes", style="bold")
    parts += [Text(), _row(Text(), [name for name, _ in _FIGURES], style="dim")]
    tree = Tree(_row(label, _figures(took, calls)), guide_style="dim")
    for node in view.nodes:
        _add_node(tree, node)
    parts.append(tree)
    parts += list(_footer(view))
    return Group(*parts)


def budget_tree(view: BudgetView) -> RenderableType:
    """Return pools as a tree: a bar, how much is used of how much, and the status."""
    table = budget_table([(each.pool, each.depth) for each in view.pools], chosen=view.pool_id)
    rest = [] if view.is_complete else [Text("... and more pools inside of these", style="dim")]
    return Group(table, *rest)


def budget_table(pools: Sequence[tuple[BudgetPool, int]], *, chosen: str | None = None) -> Table:
    """Return a table of pools, each set in by its depth; one of them may stand out."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("POOL", overflow="ellipsis")
    table.add_column("", no_wrap=True)
    for heading in ("", "USED", "OF"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("STATUS", no_wrap=True)
    for pool, depth in pools:
        name = "  " * depth + pool_name(pool)
        style = "bold" if pool.id == chosen else ""
        figures = (text_of(rounded(amount)) for amount in (pool.used_budget, pool.total_budget))
        status = _status(pool.status) if pool.status is not BudgetPoolStatus.ACTIVE else Text("active")
        table.add_row(Text(name, style=style), _bar(pool), share_text(pool), *figures, status)
    return table


def pool_name(pool: BudgetPool) -> str:
    """Return the name of a pool in its metadata, with its id; or the id alone."""
    name = (pool.metadata or {}).get("name")
    return printable(f"{name} ({pool.id})" if isinstance(name, str) else pool.id)


def share_text(pool: BudgetPool) -> str:
    """Return how much of a pool is used, in percent; 100 only if nothing is left."""
    return f"{math.floor(_share(pool) * 100)}%"


def _share(pool: BudgetPool) -> float:
    if not pool.total_budget:
        return 1.0 if pool.used_budget else 0.0
    return float(pool.used_budget / pool.total_budget)


def _bar(pool: BudgetPool) -> Text:
    filled = min(BAR_LENGTH, math.floor(_share(pool) * BAR_LENGTH))
    if pool.used_budget and not filled:
        filled = 1
    nearly, over = 0.8, 1.0
    style = "red" if _share(pool) >= over else "yellow" if _share(pool) >= nearly else "green"
    return Text.assemble(("#" * filled, style), ("." * (BAR_LENGTH - filled), "dim"))


def _row(label: Text, figures: Sequence[str], style: str = "") -> Table:
    """Return a row of a tree, with its figures in columns at the right edge."""
    row = Table.grid(expand=True, padding=(0, 0, 0, 1))
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _, width in _FIGURES:
        row.add_column(width=width, justify="right", no_wrap=True)
    row.add_row(label, *figures, style=style)
    return row


def _session_heading(view: SessionView) -> Text:
    session, state = view.session, view.state
    lines = [
        ("id", session.id),
        ("workflow", session.workflow_id),
        ("parent", session.parent_session_id),
        ("created", f"{text_of(session.created_at)} UTC, {age_text(session.created_at)} ago"),
        ("metadata", None if session.metadata is None else ", ".join(map(_pair, session.metadata.items()))),
        ("budget", None if state is None else state.budget_pool_id),
        ("at node", None if state is None else state.current_node_id),
    ]
    shown = [(f"{name:9}", f"{printable(str(value))}\n") for name, value in lines if value is not None]
    text = Text.assemble(*(part for name, value in shown for part in ((name, "dim"), value)), overflow="fold")
    text.rstrip()
    return text


def _pair(item: tuple[str, JSON]) -> str:
    name, value = item
    return f"{name}={value if isinstance(value, str) else dumps_unchecked(value)}"


def _add_node(tree: Tree, node: NodeView) -> None:
    state = node.state
    status = "no state" if state is None else str(state.status)
    attempts = () if state is None else state.attempts
    label = Text.assemble(
        (_MARKS.get(status, "."), _STYLES.get(status, "")),
        " ",
        (printable(node.node_id), "bold"),
        " ",
        _status(status),
        (f", {len(attempts) + 1} attempts" if attempts else "", "yellow"),
    )
    took = "" if state is None else _between(state)
    branch = tree.add(_row(label, _figures(took, node.executions)))
    for number, attempt in enumerate(attempts, 1):
        said = f"attempt {number} {attempt.status}" + (f": {_one_line(attempt.error)}" if attempt.error else "")
        branch.add(_row(Text(said, style="yellow"), (_between(attempt), "", "")))
    if state is not None and state.error:
        branch.add(_row(Text(f"error: {_one_line(state.error)}", style="red"), ("", "", "")))
    for execution in node.executions:
        _add_execution(branch, node, execution)
    for call in node.tool_calls.get(None, ()):
        branch.add(_tool_row(call))
    for request in node.approvals:
        asked = Text.assemble(f"{request.type} ", _status(request.status))
        if request.resolved_by is not None:
            asked.append(f" by {printable(request.resolved_by)}")
        if request.resolution_notes is not None:
            asked.append(f": {_one_line(request.resolution_notes)}")
        waited = "" if request.resolved_at is None else duration_text(request.resolved_at - request.created_at)
        branch.add(_row(asked, (waited, "", "")))


def _add_execution(branch: Tree, node: NodeView, execution: LLMExecution) -> None:
    said = execution.text if execution.success else execution.error
    label = Text.assemble(
        (printable(execution.model or "model"), "cyan"),
        " ",
        _status(outcome_of(execution)),
        "" if not said else f": {_one_line(said)}",
    )
    under = branch.add(_row(label, _figures(duration_text(execution.duration), [execution])))
    for call in node.tool_calls.get(execution.id, ()):
        under.add(_tool_row(call))


def _tool_row(call: Any) -> Table:
    said = ("failed", f": {_one_line(call.error)}") if call.error is not None else ("ok", "")
    label = Text.assemble((printable(call.tool_name), "blue"), " ", _status(said[0]), said[1])
    took = "" if call.duration_ms is None else f"{call.duration_ms:.0f} ms"
    return _row(label, (took, "", ""))


def _figures(took: str, calls: Iterable[LLMExecution]) -> tuple[str, str, str]:
    calls = list(calls)
    tokens = tokens_of(calls)
    return took, f"{tokens:,}" if tokens else "", costs_text(costs_of(calls))


def costs_text(costs: dict[str, Decimal]) -> str:
    """Return costs with their currencies, such as `0.0135 USD`."""
    return ", ".join(f"{text_of(rounded(cost))} {currency}" for currency, cost in sorted(costs.items()))


def _between(part: Any) -> str:
    if part.started_at is None or part.completed_at is None:
        return ""
    return duration_text(part.completed_at - part.started_at)


def _status(status: SessionStatus | NodeExecutionStatus | str) -> Text:
    text = text_of(status)
    return Text(text.replace("_", " "), style=_STYLES.get(text, ""))


def _one_line(text: str) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..."


def _footer(view: SessionView) -> Iterator[Text]:
    pending = [each for node in view.nodes for each in node.approvals if each.status is ApprovalStatus.PENDING]
    if pending:
        yield Text("\nPending approvals, for `aaow-storage approve ID` or `reject ID`:")
        yield from (Text(printable(f"  {each.id}  {each.type} of the node {each.node_id}")) for each in pending)
    if view.streams:
        streams = ", ".join(f"{stream.stream_id} ({stream.events} events)" for stream in view.streams)
        yield Text(f"\nStreams: {printable(streams)}")
    if view.children:
        yield Text("\nSessions that it is the parent of:")
        for child in view.children:
            yield Text.assemble(f"  {printable(child.id)}  ", _status(child.status))
