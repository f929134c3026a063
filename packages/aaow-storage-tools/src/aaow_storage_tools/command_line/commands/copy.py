"""`aaow-storage copy`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import OUTPUT, Injected, OutputOptions, Yes

if TYPE_CHECKING:
    from aaow_storage_tools.command_line.stores import Store

Flag = Parameter(negative="", show_default=False)


async def run(
    source: str,
    target: str,
    /,
    *query: str,
    follow: Annotated[bool, Flag] = False,
    until_quiet: Annotated[float | None, Parameter(("--until-quiet",))] = None,
    merge: Annotated[bool, Flag] = False,
    yes: Yes = False,
    journal: Path | None = None,
    no_verify: Annotated[bool, Flag] = False,
    no_stream_events: Annotated[bool, Flag] = False,
    terminal: Injected,
    options: OutputOptions = OUTPUT,
) -> ExitCode | None:
    """Copy a store into another one, of any backend, and compare the two record by record.

    The source is only read. The target is made if it is not there, and has to be empty, unless it is an earlier copy of
    the source: then what has changed since is copied. A copy that was killed goes on where it was when the same command
    is run again; how far it is, is in a journal beside the target. The exit code is 1 if the stores differ at the end.

    With --follow the target gets what is written to the source, until Ctrl-C: to move without downtime, wait until
    nothing more is reported, stop the writers, press Ctrl-C, and start them on the target. A second Ctrl-C interrupts.

    Args:
        source: the store to read: the name of a backend, a URL, a path, or @PROFILE.
        target: the store to write.
        query: copy the sessions that match, as in `list session`, with what they refer to; without, everything.
        follow: go on with the changes of the source, until Ctrl-C.
        until_quiet: with --follow, end when the source has not changed for so many seconds.
        merge: allow a target that has records, and replace those that differ. It needs --yes; without, the stores are
            compared.
        journal: the file of the journal, in place of the one beside the target.
        no_verify: do not compare the stores at the end.
        no_stream_events: leave stream events out, which a backend of contract 1.0 cannot list.
    """
    import asyncio
    from contextlib import nullcontext

    from aaow_storage import Session
    from aaow_storage_tools import compare_stores, copy_store, parse_query
    from aaow_storage_tools.command_line.differences import show_comparison
    from aaow_storage_tools.command_line.interruptions import set_by_signal
    from aaow_storage_tools.command_line.journals import journal_path, name_of
    from aaow_storage_tools.command_line.stores import named_store
    from aaow_storage_tools.command_line.usage_error import UsageError

    if follow and query:
        raise UsageError("--follow copies the whole store; leave out the query, or --follow")
    if until_quiet is not None and not follow:
        raise UsageError("--until-quiet says when --follow ends; give both")
    where = parse_query(Session, query) if query else None
    here, there = named_store(source, "SOURCE"), named_store(target, "TARGET")
    _check_are_two(here, there)
    with terminal.progress() as progress:
        async with here.open() as opened, there.open(create=not merge or yes) as written:
            if merge and not yes:
                comparison = await compare_stores(
                    opened, written, where=where, stream_events=not no_stream_events, progress=progress
                )
                show_comparison(terminal, comparison)
                terminal.note("Nothing was written. With --yes, what is missing or differs is copied.")
                terminal.emit_line("result", {"dry_run": True, "stored": 0, "comparison": comparison})
                return None
            place = journal or journal_path("copy", there, f"{name_of(here)} {' '.join(query)}")
            event = asyncio.Event() if follow else None
            if event is not None:
                terminal.note("Following the source; Ctrl-C ends the copy with all that was written before.")
            with nullcontext() if event is None else set_by_signal(event):
                result = await copy_store(
                    opened,
                    written,
                    where=where,
                    journal=place,
                    source_name=name_of(here),
                    target_name=name_of(there),
                    merge=merge,
                    stream_events=not no_stream_events,
                    follow=event,
                    quiet_s=until_quiet,
                    verify=not no_verify,
                    progress=progress,
                )
    terminal.print_record(
        {"stored": f"{result.stored:,}", "changes applied": f"{result.changes:,}", "journal": str(place)}
    )
    if result.comparison is not None:
        show_comparison(terminal, result.comparison)
    terminal.emit_line("result", {"dry_run": False, **result.to_dict(), "journal": str(place)})
    return None if result.comparison is None or result.comparison.is_equal else ExitCode.FAILED


def _check_are_two(source: "Store", target: "Store") -> None:
    from aaow_storage_tools.command_line.journals import name_of
    from aaow_storage_tools.command_line.usage_error import UsageError

    if (source.backend, name_of(source)) == (target.backend, name_of(target)):
        raise UsageError(f"SOURCE and TARGET are one store, {target.place}; name another target")
