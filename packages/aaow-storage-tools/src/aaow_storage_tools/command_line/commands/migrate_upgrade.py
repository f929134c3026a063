"""`aaow-storage migrate upgrade`."""

from typing import Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions, Yes


async def run(
    *,
    no_copy: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Yes = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> None:
    """Upgrade the schema of a store, after a copy of a SQLite store was made beside it.

    The upgrade is one transaction: if it is interrupted, the store has the old schema or the new one, and the copy
    stays. No copy of a PostgreSQL store is made; make a backup first.

    Args:
        no_copy: make no copy, for example because a backup was just made.
    """
    from aaow_storage_tools import upgrade_store

    store = options.store
    maintenance = store.maintenance()
    await store.check_existence(maintenance)
    status = await maintenance.schema_status()
    if not yes and not status.is_newer:
        for step in status.pending or ("nothing is due: the schema is current",):
            terminal.print(step)
        if status.pending:
            terminal.note("this is what would be done; nothing was: repeat it with --yes")
        terminal.emit({"type": "result", "store": maintenance.place, "is_dry_run": True, "steps": list(status.pending)})
        return
    report = await upgrade_store(store.adapter(), maintenance, makes_copy=not no_copy)
    terminal.print_record(
        {"store": report.store, "before": report.before, "now": report.after, "copy": report.copy or "none was made"}
    )
    terminal.emit({"type": "result", "is_dry_run": False, **report.to_dict()})
