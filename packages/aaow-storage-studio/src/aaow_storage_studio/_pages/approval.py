"""The page `approval`: one request with all that it says, and the decision, or the form to make it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from attrs import frozen
from starlette.responses import RedirectResponse, Response

from aaow_storage import ApprovalRequest, now
from aaow_storage.errors import ConflictError, NotFoundError
from aaow_storage_studio._security.forms import FormError
from aaow_storage_studio._web.approvals import Asked, with_what_waits
from aaow_storage_studio._web.pages import Action, Page, PageServer
from aaow_storage_studio._web.visit import Visit

MAX_NOTES_LENGTH = 10_000
APPROVE, REJECT = "approve", "reject"


@frozen
class ApprovalView:
    """What the page shows.

    Attributes:
        asked: the request, and what waits for it.
        too_late: whether this is the answer to a decision that was not made, because the request was decided, or had
            expired.
        notes: the notes of that decision, so that they are not lost.
    """

    asked: Asked
    too_late: bool = False
    notes: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {**self.asked.to_dict(), "status": self.asked.status(now())}


async def read(visit: Visit) -> ApprovalView:
    """Read the page of the request `id`."""
    return await _view_of(visit, visit.required("id"))


async def _view_of(visit: Visit, id: str) -> ApprovalView:
    request = await visit.storage.get_approval_request(id)
    if request is None:
        raise NotFoundError("approval_request", id)
    (asked,) = await with_what_waits(visit.storage, [request])
    return ApprovalView(asked)


async def decide(server: PageServer, visit: Visit, decider: str, form: Mapping[str, str]) -> Response:
    """Make a decision: `id` is the request, `decision` is approve or reject, `notes` is any text.

    The answer leads to the page of the request, so that a reload decides nothing. If
    somebody was first, or the request has expired, its status is 409, and the page says so.
    """
    request_id, decision, notes = form.get("id") or visit.required("id"), form.get("decision"), form.get("notes", "")
    if decision not in {APPROVE, REJECT}:
        raise FormError(HTTPStatus.BAD_REQUEST, f"decision has to be {APPROVE} or {REJECT}")
    if len(notes) > MAX_NOTES_LENGTH:
        problem = f"the notes have {len(notes)} characters, and at most {MAX_NOTES_LENGTH} are kept; shorten them"
        raise FormError(HTTPStatus.BAD_REQUEST, problem)
    page = visit.of_page("approval", id=request_id)
    storage, settings, kept = visit.storage, visit.settings, notes.strip() or None
    try:
        if decision == APPROVE:
            await storage.approve_request(request_id, decider, kept, session_status=settings.approved_status)
        else:
            await storage.reject_request(request_id, decider, kept, session_status=settings.rejected_status)
    except ConflictError as error:
        if not isinstance(error.current, ApprovalRequest):
            raise
        (asked,) = await with_what_waits(visit.storage, [error.current])
        view = ApprovalView(asked, too_late=True, notes=notes.strip())
        return server.rendered("approval.html", page, view, HTTPStatus.CONFLICT)
    return RedirectResponse(visit.url("approval", id=request_id), HTTPStatus.SEE_OTHER)


PAGES = (Page("approval", "approval.html", read),)
ACTIONS = (Action("approval/decide", decide, "approvals"),)
