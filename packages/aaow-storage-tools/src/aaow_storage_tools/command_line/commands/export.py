"""`aaow-storage export`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions

Flag = Parameter(negative="", show_default=False)


async def run(
    file: Path,
    /,
    *query: str,
    force: Annotated[bool, Flag] = False,
    no_stream_events: Annotated[bool, Flag] = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> None:
    """Write all records of a store to an archive: a file of JSON Lines, that people and other programs can read.

    A name that ends with .zst is compressed by Zstandard. The file gets its name when it is whole. The page "Archives"
    of the documentation describes the format. Others may write to the store meanwhile.

    Args:
        file: the file to write, such as agents.jsonl.zst.
        query: export the sessions that match, as in `list session`, with what they refer to; without, everything.
        force: replace a file that is there.
        no_stream_events: leave stream events out, which a backend of contract 1.0 cannot list.
    """
    from aaow_storage import Session
    from aaow_storage_tools import export_store, parse_query

    where = parse_query(Session, query) if query else None
    with terminal.progress() as progress:
        async with options.open() as storage:
            result = await export_store(
                storage,
                file,
                where=where,
                overwrite=force,
                stream_events=not no_stream_events,
                progress=progress,
            )
    counts = ", ".join(f"{count:,} {kind}" for kind, count in result.counts.items() if count)
    terminal.print_record({"archive": result.file, "records": counts or "none", "sha256": result.sha256})
    terminal.emit_line("result", result.to_dict())
