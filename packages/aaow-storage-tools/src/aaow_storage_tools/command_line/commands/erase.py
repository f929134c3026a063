"""`aaow-storage erase`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions, Yes

if TYPE_CHECKING:
    from aaow_storage_tools._erasing.receipts import Receipt
    from aaow_storage_tools.command_line.terminal import Terminal


async def run(
    *,
    where: Annotated[tuple[str, ...], Parameter(show_default=False, negative="", metavar="CONDITION")],
    receipt: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    forget_changes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Yes = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Delete everything of the sessions that meet a condition, and write a receipt.

    Without --yes, it only counts. The sessions go with their child sessions, whatever holds them. At the end the space
    is given back, so that no file of the store, and no later backup, has anything of them; writers may wait for that.
    If it is interrupted, the same command goes on. `verify-receipt` checks the receipt against a store.

    Args:
        where: a condition of sessions, as in `list`; may be given several times, and all of them have to hold.
        receipt: the file of the receipt; default: erasure-CODE.json here, where CODE stands for the conditions.
        forget_changes: delete the change feed, too, which names the ids; who follows it has to start over.
    """
    from aaow_storage import Session
    from aaow_storage_tools._erasing.erase import erase
    from aaow_storage_tools._looking.query_language import parse_query

    conditions = parse_query(Session, where)
    file = receipt or _default_file(where)
    store = options.store
    maintenance = await store.offered_maintenance()
    with terminal.progress() as progress:
        async with store.open() as storage:
            made = await erase(
                storage,
                conditions,
                request=where,
                receipt_file=file,
                maintenance=maintenance,
                forget_changes=forget_changes,
                dry_run=not yes,
                progress=progress,
            )
    _print(terminal, made, file)
    found = {"dry_run": not yes, "counts": made.counts, "receipt_file": str(file) if yes else None}
    terminal.emit_line("result", {**found, "receipt": made.to_dict() if yes else None})
    if not yes:
        terminal.note("Nothing was deleted; --yes does it.")
    return None


def _default_file(request: tuple[str, ...]) -> Path:
    """Return the file of the receipt of a request: the first whose receipt is not written."""
    from hashlib import sha256

    code = sha256("\0".join(request).encode()).hexdigest()[:8]
    file, number = Path(f"erasure-{code}.json"), 1
    while file.exists():
        number += 1
        file = Path(f"erasure-{code}-{number}.json")
    return file


def _print(terminal: "Terminal", receipt: "Receipt", file: Path) -> None:
    done = "erased" if receipt.is_done else "to erase"
    terminal.print_table(
        [{"kind": kind.replace("_", " "), done: number} for kind, number in receipt.counts.items()]
        or [{"kind": "session", done: 0}]
    )
    if receipt.is_done:
        terminal.print()
        terminal.print_record({"receipt": file, "digest": receipt.digest})
        for note in receipt.notes:
            terminal.print_record({"note": note})
