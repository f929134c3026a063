"""`aaow-storage migrate plan`."""

from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions


async def run(*, terminal: Injected, options: StoreOptions = STORE) -> None:
    """Print the SQL that an upgrade of the schema would run; nothing is run.

    Run the upgrade by `migrate upgrade`: some statements call functions that only it has.
    """
    store = options.store
    maintenance = store.maintenance()
    await store.check_existence(maintenance)
    plan = await maintenance.plan_upgrade()
    if not plan:
        terminal.note("nothing is due: the schema is current")
    else:
        terminal.print(plan)
    terminal.emit({"type": "plan", "store": maintenance.place, "sql": plan})
