"""`aaow-storage backup`."""

from pathlib import Path

from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions


async def run(file: Path, /, *, terminal: Injected, options: StoreOptions = STORE) -> None:
    """Write a backup of a store, and a manifest with digests, while others go on writing.

    The backup is a consistent store as of one instant. That of SQLite is a store itself; that of PostgreSQL is a file
    of `pg_dump`. If that is not installed, or the backend makes no backups, it is an export, with each session as of an
    instant of its own. The manifest is FILE.manifest.json: keep it beside the backup, because `verify` and `restore`
    compare every byte with it. No file is replaced.

    Args:
        file: the file to write.
    """
    from aaow_storage import NotOfferedError
    from aaow_storage_tools import backup_store
    from aaow_storage_tools.command_line.tables import size_text

    store = options.store
    try:
        maintenance = store.maintenance()
        await store.check_existence(maintenance)
    except NotOfferedError:
        maintenance = None
    with terminal.progress() as progress:
        report = await backup_store(
            maintenance, file, backend=store.backend, opening=store.open, place=store.place, progress=progress
        )
    if report.reason:
        terminal.warn(f"{report.reason}; so the backup is an export, with each session as of an instant of its own")
    terminal.print_record(
        {
            "backup": report.file,
            "manifest": report.manifest,
            "format": report.format,
            "size": size_text(report.size),
            "schema": report.schema_version,
            "rows": f"{sum(report.rows.values()):,}",
            "sha256": report.sha256,
        }
    )
    terminal.emit_line("result", report.to_dict())
