"""`aaow-storage tail`."""

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, SessionId, StoreOptions

if TYPE_CHECKING:
    from rich.text import Text

    from aaow_storage_tools._looking.following import FollowedChange

Flag = Parameter(negative="", show_default=False)


async def run(
    session: SessionId = None,
    /,
    *,
    kind: str | None = None,
    after: str | None = None,
    from_start: Annotated[bool, Flag] = False,
    once: Annotated[bool, Flag] = False,
    count: Annotated[int | None, Parameter(("--count", "-n"), validator=validators.Number(gte=1))] = None,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Follow what is written to a store, live, until Ctrl-C.

    Each committed change is a line: when, what was done, the kind, the id, and what the record says by then. It begins
    with the next change, unless another beginning is named. The store needs a change feed.

    Args:
        session: follow this session, and what belongs to it, alone.
        kind: follow these kinds alone, with commas, such as session,approval.
        after: begin after the change with this position, which the last line of --json ends with.
        from_start: begin with the oldest change that is kept.
        once: end at the last change that is stored, and do not wait for others.
        count: end after so many changes.
    """
    from aaow_storage_tools._looking.following import follow_changes
    from aaow_storage_tools._looking.listing import LISTINGS, listing_of
    from aaow_storage_tools._looking.lookup import find_record
    from aaow_storage_tools.command_line.usage_error import UsageError

    if after is not None and from_start:
        raise UsageError("--after and --from-start both name where to begin; give one of them")
    kinds = None if kind is None else [listing_of(each).name for each in kind.split(",")]
    seen, position = 0, after
    async with options.open() as storage:
        session_id = None if session is None else (await find_record(storage, LISTINGS["session"], session)).id
        last = await storage.last_change()  # which fails if there is no feed
        if after is None and not from_start and last is not None:
            position = last.position
        terminal.start_writing()
        changes = follow_changes(storage, position, kinds=kinds, session_id=session_id, only_stored=once)
        async with aclosing(changes):
            async for followed in changes:
                seen, position = seen + 1, followed.change.position
                if not terminal.is_json:
                    terminal.print_line(_line(followed))
                terminal.emit_line("change", {"change": followed.change, "record": followed.record})
                terminal.flush()
                if seen == count:
                    break
    terminal.emit_line("result", {"count": seen, "next": position})
    return None


def _line(followed: "FollowedChange") -> "Text":
    from rich.text import Text

    from aaow_storage_tools.command_line.columns import summary_of
    from aaow_storage_tools.command_line.tables import printable

    change = followed.change
    style = {"created": "green", "deleted": "red"}.get(change.action.value, "")
    said = "" if followed.record is None else summary_of(change.kind, followed.record)
    return Text.assemble(
        (f"{change.at:%H:%M:%S} ", "dim"),
        (f"{change.action:7} ", style),
        f"{change.kind.replace('_', ' '):16} ",
        (printable(change.id), "bold"),
        f"  {printable(said)}" if said else "",
    )
