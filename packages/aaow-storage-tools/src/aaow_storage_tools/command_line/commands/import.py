"""`aaow-storage import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions, Yes

if TYPE_CHECKING:
    from aaow_storage_tools.command_line.stores import Store

Flag = Parameter(negative="", show_default=False)
SHOWN = 20
"""How many lines that were left out people are shown."""


async def run(
    file: Path,
    /,
    *,
    keep_going: Annotated[bool, Flag] = False,
    merge: Annotated[bool, Flag] = False,
    yes: Yes = False,
    journal: Path | None = None,
    no_verify: Annotated[bool, Flag] = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Store the records of an archive in a store that is empty, or is not there yet: all of them, or nothing.

    Every line is checked before anything is written, and what is wrong is named by the number of its line. An archive
    of more than 200,000 records is stored in parts: if that is interrupted, the same command goes on. The exit code is
    1 if lines were left out, or if the store differs from the archive at the end.

    Args:
        file: the archive, as `export` writes it.
        keep_going: leave out the lines that are wrong, and those that refer to them, and say so.
        merge: allow a store that has records, and replace those that differ. It needs --yes; without, the archive is
            checked.
        journal: the file of the journal, in place of the one beside the store.
        no_verify: do not compare the archive with the store at the end.
    """
    from aaow_storage_tools._archives.importing import check_archive, import_archive
    from aaow_storage_tools.command_line.differences import show_comparison
    from aaow_storage_tools.command_line.journals import journal_path, name_of

    store = options.store
    _check_is_there(file, store)
    place = journal or journal_path("import", store, str(file))
    with terminal.progress() as progress:
        if merge and not yes:
            async with store.open() as storage:
                checked = await check_archive(file, storage, keep_going=keep_going, progress=progress)
            terminal.print_record({kind: f"{count:,}" for kind, count in checked.items() if count})
            terminal.note("Nothing was written. With --yes, what is missing or differs is imported.")
            terminal.emit_line("result", {"dry_run": True, "stored": 0, "counts": checked})
            return None
        result = await import_archive(
            file,
            lambda: store.open(create=True),
            journal=place,
            target_name=name_of(store),
            merge=merge,
            keep_going=keep_going,
            verify=not no_verify,
            progress=progress,
        )
    for left_out in result.left_out[:SHOWN]:
        terminal.print(f"line {left_out.line} was left out: {left_out.problem}")
    if result.left_out_found > SHOWN:
        terminal.print(f"... and {result.left_out_found - SHOWN:,} more lines")
    for left_out in result.left_out:
        terminal.emit_line("left_out", left_out.to_dict())
    terminal.print_record({"stored": f"{result.stored:,}", "left out": f"{result.left_out_found:,}"})
    if result.comparison is not None:
        show_comparison(terminal, result.comparison)
    terminal.emit_line("result", {"dry_run": False, **result.to_dict()})
    is_whole = not result.left_out_found and (result.comparison is None or result.comparison.is_equal)
    return None if is_whole else ExitCode.FAILED


def _check_is_there(file: Path, store: "Store") -> None:
    from aaow_storage_tools.command_line.stores import FileNotThereError

    if not file.is_file():
        raise FileNotThereError(str(file), f"nothing was imported to {store.place}")
