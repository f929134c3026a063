"""`aaow-storage migrate status`."""

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions


async def run(*, terminal: Injected, options: StoreOptions = STORE) -> ExitCode:
    """Tell which schema a store has, which one this release needs, and what is due.

    The exit code is 12 if they differ.
    """
    store = options.store
    maintenance = store.maintenance()
    await store.check_existence(maintenance)
    status = await maintenance.schema_status()
    verdict = "current" if status.is_current else "newer than this release" if status.is_newer else "to be upgraded"
    terminal.print_record(
        {"store": maintenance.place, "schema": status.found, "needed": status.expected, "is": verdict}
    )
    if status.pending:
        terminal.print()
        for step in status.pending:
            terminal.print(step)
    terminal.emit(
        {
            "type": "schema",
            "store": maintenance.place,
            "found": status.found,
            "expected": status.expected,
            "is_current": status.is_current,
            "is_newer": status.is_newer,
            "pending": list(status.pending),
        }
    )
    return ExitCode.DONE if status.is_current else ExitCode.SCHEMA_DIFFERS
