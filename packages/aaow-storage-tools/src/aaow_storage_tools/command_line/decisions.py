"""`approve` and `reject`: a decision is made, or the loser is told who decided."""

from typing import TYPE_CHECKING, Any

from aaow_storage import ApprovalRequest, ApprovalStatus, ConflictError, StorageError
from aaow_storage_tools.command_line.columns import age_text
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.tables import printable, text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aaow_storage_tools.command_line.terminal import Terminal


class TooLateError(StorageError):
    """The request was decided by somebody else, or has expired; nothing was changed.

    Attributes:
        current: the request as it is stored.
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, current: ApprovalRequest) -> None:
        super().__init__(current)
        self.current = current

    def __str__(self) -> str:
        request = self.current
        if request.status is ApprovalStatus.PENDING:
            return f"the request {request.id} expired at {text_of(request.expires_at)} UTC; nobody decided on it"
        if request.resolved_at is None:
            return f"the request {request.id} is {request.status} already"
        who = "" if request.resolved_by is None else f" by {printable(request.resolved_by)}"
        notes = "no notes" if request.resolution_notes is None else f"the notes: {printable(request.resolution_notes)}"
        when = f"{text_of(request.resolved_at)} UTC, {age_text(request.resolved_at)} ago"
        return f"the request {request.id} was {request.status} already{who}, at {when}, with {notes}"


async def decide(terminal: "Terminal", decision: "Awaitable[ApprovalRequest]") -> None:
    """Wait for a decision to be stored, and show it.

    Raises:
        TooLateError: somebody else decided, or the request has expired.
    """
    try:
        request = await decision
    except ConflictError as error:
        if isinstance(error.current, ApprovalRequest):
            raise TooLateError(error.current) from error
        raise
    terminal.print_record(decided_fields(request))
    terminal.emit({"type": "approval_request", "record": request})


def decided_fields(request: ApprovalRequest) -> dict[str, Any]:
    """Return what people are shown of a decided request."""
    return {
        request.status.value: request.id,
        "by": request.resolved_by,
        "notes": request.resolution_notes,
        "asked_for": f"{request.type} by the node {request.node_id} of the session {request.session_id}",
        "context": dict(request.context) or None,
    }
