"""`aaow-storage reject`."""

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import (
    STORE,
    Injected,
    PendingApprovalId,
    SessionStatusOption,
    StoreOptions,
)


async def run(
    id: PendingApprovalId,
    /,
    *,
    by: str,
    notes: str | None = None,
    session_status: SessionStatusOption = None,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Reject a pending request; if somebody was first, tell who, when, and with which notes.

    Of several decisions at once exactly one is stored. The exit code of the others is 13.

    Args:
        id: the approval request.
        by: who rejects.
        notes: why, which is noted with the decision.
        session_status: the status that the session of the request gets in the same step, such as running.
    """
    from typing import Any, cast

    from aaow_storage_tools.command_line.decisions import decide

    async with options.open() as storage:
        status = cast("Any", session_status)  # the operation checks it
        await decide(terminal, storage.reject_request(id, by, notes, session_status=status))
    return None
