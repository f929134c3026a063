"""`aaow-storage show`."""

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Id, Injected, Kind, StoreOptions


async def run(kind: Kind, id: Id, /, *, terminal: Injected, options: StoreOptions = STORE) -> ExitCode | None:
    """Show a record; a session with all that belongs to it, a budget pool with the pools around it.

    `show session ID` draws a tree: what went wrong first, then the nodes with their attempts, model calls, tool calls
    and approvals. `show budget ID` draws the pools with bars.

    Args:
        kind: what `list` takes: workflow, session, budget, approval, llm, tool, event, ...
        id: the id, or the beginning of one that no other has.
    """
    from aaow_storage_tools._looking.listing import listing_of
    from aaow_storage_tools._looking.lookup import find_record

    listing = listing_of(kind)
    async with options.open() as storage:
        record = await find_record(storage, listing, id)
        if listing.name == "session":
            from aaow_storage_tools._looking.session_view import view_session

            session = await view_session(storage, record.id)
            if not terminal.is_json:
                from aaow_storage_tools.command_line.trees import MAX_WIDTH, session_tree

                terminal.print(session_tree(session), width=MAX_WIDTH)
            terminal.emit({"type": "session", **session.to_dict()})
        elif listing.name == "budget_pool":
            from aaow_storage_tools._looking.budget_view import view_budget

            budget = await view_budget(storage, record.id)
            if not terminal.is_json:
                from aaow_storage_tools.command_line.trees import budget_tree

                terminal.print(budget_tree(budget))
            terminal.emit({"type": "budget_pool", **budget.to_dict()})
        else:
            terminal.print_record(record.to_dict())
            terminal.emit({"type": listing.name, "record": record})
    return None
