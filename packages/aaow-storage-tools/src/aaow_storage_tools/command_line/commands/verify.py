"""`aaow-storage verify`."""

from pathlib import Path

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import OUTPUT, Injected, OutputOptions


async def run(
    file: Path, /, *, backend: str | None = None, terminal: Injected, options: OutputOptions = OUTPUT
) -> ExitCode:
    """Check a backup: compare every byte with its manifest, and let its backend read it.

    It needs no store, and changes nothing. The exit code is 1 if something is wrong.

    Args:
        file: the backup.
        backend: the backend that made it, if neither a manifest nor the file itself tells.
    """
    from aaow_storage_tools import verify_backup
    from aaow_storage_tools.command_line.tables import size_text

    with terminal.progress() as progress:
        report = await verify_backup(file, backend=backend, progress=progress)
    for note in report.notes:
        terminal.warn(note)
    terminal.print_record(
        {
            "backup": report.file,
            "is": "sound" if report.is_sound else "damaged",
            "size": size_text(report.size),
            "format": report.format,
            "schema": report.schema_version,
            "rows": f"{sum(report.rows.values()):,}" if report.is_read else None,
        }
    )
    for each in report.findings:
        terminal.print()
        terminal.print_record({"problem": each.problem, "place": each.place, "remedy": each.remedy})
    terminal.emit_line("result", report.to_dict())
    return ExitCode.DONE if report.is_sound else ExitCode.FAILED
