"""`aaow-storage restore`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions


async def run(
    file: Path,
    /,
    *,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> None:
    """Put a backup in the place of a store that is not there: all of it, or nothing.

    Every byte is compared with the manifest first, and a damaged backup is refused. So is a store that is there, with
    the exit code 13, unless it is to be replaced. A backup that is an export goes into an empty store of any backend.

    Args:
        file: the backup.
        force: replace a store that is there. Stop every process that has it open first. A damaged file of SQLite is
            kept beside the new one.
    """
    from functools import partial

    from aaow_storage import NotOfferedError
    from aaow_storage_tools import restore_store

    store = options.store
    try:
        maintenance = store.maintenance()
    except NotOfferedError:
        maintenance = None
    with terminal.progress() as progress:
        report = await restore_store(
            file,
            maintenance,
            backend=store.backend,
            opening=partial(store.open, create=True),
            place=store.place,
            replace=force,
            progress=progress,
        )
    if not report.has_manifest:
        terminal.warn(f"there was no manifest beside {file}: its bytes could not be compared")
    terminal.print_record(
        {
            "store": report.store,
            "restored from": report.file,
            "schema": report.schema_version,
            "rows": f"{sum(report.rows.values()):,}",
        }
    )
    terminal.emit_line("result", report.to_dict())
