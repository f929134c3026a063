"""Prints a session as it is stored: the steps, the budgets, the decisions and the pending approvals."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aaow_storage import ApprovalRequest, BudgetPool, UsageSummary, now
from budget import name_of
from findings import MAX_PENDING, Findings, text_of
from model import CURRENCY
from session_tree import duration, session_tree, table_head

_MAX_JOURNAL = 12
_ROUGH_TIMES = ((86_400, "d"), (3_600, "h"), (60, "min"))


def print_report(console: Console, found: Findings) -> None:
    """Print the whole report."""
    title = "Closed, opened again, and read back" if found.is_durable else "Read back before it is closed"
    console.print(Rule(title, align="left", style="dim"))
    console.print(_heading(found))
    console.print(table_head())
    console.print(session_tree(found))
    for line in _footnotes(found):
        console.print(Text(line, style="dim"))
    for title, part in (
        ("What the engine ran into", _journal(found)),
        ("Models in this session", _models(found.usage)),
        ("Budgets in USD", _budgets(found.pools)),
        ("Decisions in this session", _decisions(found)),
        ("Pending approvals in this store", _pending(found)),
    ):
        console.print()
        console.print(Rule(title, align="left", style="dim"))
        console.print(part)


def _heading(found: Findings) -> Text:
    workflow, session = found.workflow, found.session
    return Text.assemble(
        (workflow.name, "bold"),
        f" ({workflow.id}, version {workflow.version})\n",
        (f"session {found.number} of this workflow", "bold cyan"),
        f", started {session.created_at:%Y-%m-%d %H:%M:%S} UTC\n",
        (f"id {session.id}\n", "dim"),
        overflow="fold",
    )


def _footnotes(found: Findings) -> Iterator[str]:
    yield "Models, tools and people are simulated and answer at once: the times are what storing took."
    if any(node.is_added for node in found.nodes):
        yield "* not in the document: added, so that a run shows every kind of step."


def _journal(found: Findings) -> RenderableType:
    if not found.journal:
        return Text("nothing", style="dim")
    lines = Table.grid(padding=(0, 1))
    lines.add_column(justify="right", no_wrap=True, style="dim")
    lines.add_column(overflow="fold")
    for event in found.journal[:_MAX_JOURNAL]:
        lines.add_row(f"+{duration(found.session.created_at, event.timestamp)}", Text(text_of(event)))
    if len(found.journal) > _MAX_JOURNAL:
        lines.add_row("", Text(f"... and {len(found.journal) - _MAX_JOURNAL} more", style="dim"))
    return lines


def _models(usage: Sequence[UsageSummary]) -> Table:
    """Return what `summarize_usage` says of each model."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("model", overflow="ellipsis", no_wrap=True)
    for name in ("calls", "failed", "prompt", "cached", "completion", "reasoning", CURRENCY):
        table.add_column(name, justify="right", no_wrap=True)
    for each in usage:
        tokens = (each.prompt_tokens, each.cache_read_tokens, each.completion_tokens, each.reasoning_tokens)
        table.add_row(
            Text(str(each.keys["model"])),
            str(each.executions),
            str(each.failed),
            *("" if count is None else f"{count:,}" for count in tokens),
            f"{each.costs.get(CURRENCY, 0):.4f}",
        )
    return table


def _budgets(pools: Sequence[tuple[int, BudgetPool]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("pool", overflow="ellipsis", no_wrap=True)
    table.add_column("", width=14)
    for name in ("used", "total", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for depth, pool in pools:
        bar = ProgressBar(total=float(pool.total_budget), completed=float(pool.used_budget), width=14)
        amounts = (f"{amount:.4f}" for amount in (pool.used_budget, pool.total_budget, pool.remaining_budget))
        table.add_row(Text("  " * depth + name_of(pool)), bar, *amounts, str(pool.status))
    return table


def _decisions(found: Findings) -> RenderableType:
    names = {node.id: node.name for node in found.nodes}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("asked for", "by the step", "decision", "with the note"):
        table.add_column(heading, overflow="fold")
    for request in found.decided:
        decision = f"{request.status} by {request.resolved_by}"
        cells = (
            str(request.type),
            names.get(request.node_id, request.node_id),
            decision,
            request.resolution_notes or "",
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table if found.decided else Text("none", style="dim")


def _pending(found: Findings) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("session", "asked for", "question", "expires in"):
        table.add_column(heading, overflow="fold")
    for request in found.pending[:MAX_PENDING]:
        session = "this one" if request.session_id == found.session.id else f"...{request.session_id[-8:]}"
        question = str(request.context.get("question") or request.context)
        table.add_row(*(Text(cell) for cell in (session, str(request.type), question, _time_left(request))))
    if not found.pending:
        return Text("none", style="dim")
    older = Text("... and older ones", style="dim")
    return Group(table, older) if len(found.pending) > MAX_PENDING else table


def _time_left(request: ApprovalRequest) -> str:
    """Return about how long a request can still be decided."""
    if request.expires_at is None:
        return "never"
    seconds = (request.expires_at - now()).total_seconds()
    for length, unit in _ROUGH_TIMES:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
