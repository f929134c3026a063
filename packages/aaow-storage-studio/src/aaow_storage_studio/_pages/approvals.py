"""The page `approvals`: what waits for a decision in all sessions, most urgent first, and what was decided."""

from collections.abc import Sequence
from typing import Any

from attrs import evolve, field, frozen

from aaow_storage import ApprovalRequest, ApprovalStatus, FieldName, Le, QueryFilter, now
from aaow_storage_studio._web.approvals import Asked, with_what_waits
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.paging import Listed, page_length, read_list
from aaow_storage_studio._web.visit import Visit

MAX_COUNTED = 99
"""How many pending requests the title of the page counts; of more it says `99+`."""

WITHOUT_DEADLINE = "."
"""What a cursor begins with if it is in the second part of the pending requests, those that do not expire."""


@frozen
class ApprovalsView:
    """What the page shows.

    Attributes:
        listed: a page of requests.
        asked: the same with what waits for them.
        status: which requests are listed.
        pending: how many are pending, at most one more than `MAX_COUNTED`.
    """

    listed: Listed[ApprovalRequest]
    asked: Sequence[Asked]
    status: str
    pending: int
    statuses: Sequence[str] = field(default=tuple(map(str, ApprovalStatus)))

    @property
    def pending_text(self) -> str:
        """How many are pending, as the title of the page has it."""
        return str(self.pending) if self.pending <= MAX_COUNTED else f"{MAX_COUNTED}+"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            **self.listed.to_dict(),
            "records": [each.to_dict() for each in self.asked],
            "status": self.status,
            "pending": self.pending,
            "more_are_pending": self.pending > MAX_COUNTED,
        }


async def read(visit: Visit) -> ApprovalsView:
    """Read the page: `status` is pending, approved, rejected or expired; `q` filters besides."""
    status = visit.text("status")
    if status not in set(map(str, ApprovalStatus)):
        status = ApprovalStatus.PENDING
    listed = await (_pending(visit) if status == ApprovalStatus.PENDING else _decided(visit, status))
    asked = await with_what_waits(visit.storage, listed.records)
    pending = await visit.storage.list_pending_approvals(QueryFilter(limit=MAX_COUNTED + 1))
    return ApprovalsView(listed, asked, str(status), len(pending))


async def _decided(visit: Visit, status: str) -> Listed[ApprovalRequest]:
    """Read those that cannot be decided any more, newest first; some have expired, and are still stored as pending."""

    async def list_page(page: QueryFilter) -> list[ApprovalRequest]:
        if status == ApprovalStatus.EXPIRED:
            expired: list[dict[FieldName, Any]] = [
                {"status": status},
                {"status": ApprovalStatus.PENDING, "expires_at": Le(now())},
            ]
            return await visit.storage.list_approval_requests(None, evolve(page, any_of=expired))
        return await visit.storage.list_approval_requests(None, page)

    conditions = [] if status == ApprovalStatus.EXPIRED else [f"status={status}"]
    return await read_list(visit, ApprovalRequest, list_page, conditions=conditions)


async def _pending(visit: Visit) -> Listed[ApprovalRequest]:
    """Read those that can be decided: first those that expire, the next one first, then the others, oldest first."""
    list_page = visit.storage.list_pending_approvals
    if visit.text("order"):
        return await read_list(visit, ApprovalRequest, list_page)
    length, after = page_length(visit), visit.text("after")
    expiring = None
    if not after.startswith(WITHOUT_DEADLINE):
        expiring = await read_list(
            visit, ApprovalRequest, list_page, conditions=["expires_at!=null"], order="expires_at"
        )
        if expiring.next_after or expiring.problem:
            return expiring
    room = length - len(expiring.records) if expiring else length
    others = await read_list(
        visit,
        ApprovalRequest,
        list_page,
        conditions=["expires_at=null"],
        order="created_at",
        after=after.removeprefix(WITHOUT_DEADLINE) if expiring is None else "",
        length=room or 1,
    )
    if expiring is None:
        next_after = others.next_after and WITHOUT_DEADLINE + others.next_after
        return evolve(others, next_after=next_after, is_first=False)
    if not room:
        return evolve(expiring, next_after=WITHOUT_DEADLINE if others.records else None)
    return evolve(
        expiring,
        records=[*expiring.records, *others.records],
        next_after=others.next_after and WITHOUT_DEADLINE + others.next_after,
    )


PAGES = (Page("approvals", "approvals.html", read),)
