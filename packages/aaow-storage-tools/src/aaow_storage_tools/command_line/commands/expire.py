"""`aaow-storage expire`."""

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, SessionStatusOption, StoreOptions


async def run(
    *, session_status: SessionStatusOption = None, terminal: Injected, options: StoreOptions = STORE
) -> ExitCode | None:
    """Set the pending requests that nobody decided in time to expired, and list them.

    Args:
        session_status: the status that the session of each gets in the same step, such as failed.
    """
    from typing import Any, cast

    from aaow_storage_tools.command_line.columns import row_of

    async with options.open() as storage:
        expired = await storage.expire_approvals(session_status=cast("Any", session_status))  # which checks it
    terminal.print_rows([row_of("approval_request", each, is_brief=terminal.is_interactive) for each in expired])
    for request in expired:
        terminal.emit_line("approval_request", {"record": request})
    terminal.emit_line("result", {"count": len(expired)})
    if not expired:
        terminal.note("No request was overdue.")
    return None
