"""`aaow-storage list`."""

from typing import Annotated

from cyclopts import Parameter, validators

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, Kind, StoreOptions


async def run(
    kind: Kind,
    /,
    *query: str,
    order: Annotated[str | None, Parameter(("--order", "-o"))] = None,
    limit: Annotated[int, Parameter(("--limit", "-n"), validator=validators.Number(gte=1))] = 50,
    after: str | None = None,
    all_: Annotated[bool, Parameter(("--all", "-a"), negative="", show_default=False)] = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """List the records of a kind that match a query, the newest first.

    A query is a list of conditions, all of which have to hold: status=running,failed metadata.user=ada
    'created_at>=2026-01-01' 'created_at>-2h' text~refund id^=01a2 workflow_id!=null cost=0.5..2. The operators are
    = != < <= > >=, ~ and !~ (contains), ^= (begins with). In a shell, < and > need quotes.

    Args:
        kind: workflow, session, execution_state, node_state, llm_execution, tool_call, budget_pool, approval_request,
            stream, stream_event; shorter and plural forms too.
        query: the conditions.
        order: fields with commas, each with a minus in front if it goes down: --order=-cost,id.
        limit: how many to list at most.
        after: the cursor after which to go on, which the page before ended with.
        all_: list all, page by page, whatever the limit.
    """
    from attrs import evolve

    from aaow_storage_tools._looking.listing import listing_of
    from aaow_storage_tools._pages import MAX_PAGE_LENGTH
    from aaow_storage_tools.command_line.columns import row_of

    listing = listing_of(kind)
    page = listing.filter(query, order=order, limit=limit + 1, after=after)
    if all_:
        page = evolve(page, limit=MAX_PAGE_LENGTH)
    count, cursor = 0, None
    async with options.open() as storage:
        while records := await listing.list_page(storage, page):
            if not all_ and len(records) > limit:
                records = records[:limit]
                cursor = page.cursor(records[-1]) if records else None
            count += len(records)
            terminal.print_rows([row_of(listing.name, each, is_brief=terminal.is_interactive) for each in records])
            for record in records:
                terminal.emit_line(listing.name, {"record": record})
            if not all_:
                break
            terminal.start_writing()
            page = page.after(records[-1])
    terminal.emit_line("result", {"count": count, "next": cursor})
    if cursor is not None:
        terminal.note(f"There are more: go on with --after {cursor}, or list --all.")
    elif not count:
        terminal.note(f"No {listing.name.replace('_', ' ')} matches.")
    return None
