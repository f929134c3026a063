"""`aaow-storage verify-receipt`."""

from pathlib import Path

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions


async def run(receipt: Path, /, *, terminal: Injected, options: StoreOptions = STORE) -> ExitCode | None:
    """Look in a store for what a receipt of `erase` says is erased.

    The exit code is 1 if something of it is there, if the receipt was changed, or if the erasure was not completed. To
    check a backup, restore it and name it by --storage.

    Args:
        receipt: the file that `erase` wrote.
    """
    from aaow_storage import Session
    from aaow_storage_tools._erasing.receipts import read_receipt
    from aaow_storage_tools._erasing.verify import verify_receipt
    from aaow_storage_tools._looking.query_language import QueryError, parse_query

    store = options.store
    await store.offered_maintenance()  # a store that is not there is named before the receipt is read
    read = read_receipt(receipt)
    try:
        where = None if any(map(_depends_on_time, read.request)) else parse_query(Session, read.request)
    except QueryError:  # of a request that was made by the library
        where = None
    with terminal.progress() as progress:
        async with store.open() as storage:
            found = await verify_receipt(storage, read, where=where, progress=progress)
    if found:
        terminal.print_table([each.to_dict() for each in found])
    else:
        terminal.print(f"Nothing of it is there: {sum(read.counts.values()):,} records, erased {read.erased_at}.")
    for each in found:
        terminal.emit_line("leftover", each.to_dict())
    terminal.emit_line("result", {"erased": not found, "counts": read.counts, "request": list(read.request)})
    return ExitCode.FAILED if found else ExitCode.DONE


def _depends_on_time(condition: str) -> bool:
    """Say whether a condition compares with a time before now, such as `updated_at<-30d`: others meet it later."""
    import re

    return re.search(r"[<>=]\s*-\d", condition) is not None
