"""The page `sessions`: runs, newest first, with what they used and cost."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from aaow_storage import Session, SessionStatus, UsageSummary
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.paging import Listed, count_if_asked, read_list
from aaow_storage_studio._web.session_usage import usage_of_sessions
from aaow_storage_studio._web.visit import Visit

ENDED = frozenset({SessionStatus.COMPLETED, SessionStatus.FAILED, SessionStatus.CANCELLED})


@frozen
class SessionsView:
    """What the page shows.

    Attributes:
        listed: a page of sessions, without their documents.
        usage: what the model calls of each used, by its id; those without calls are not there.
        status: the status that the list is limited to, empty for all.
        count: how many sessions match, None if nobody asked, or it takes too long.
    """

    listed: Listed[Session]
    usage: Mapping[str, UsageSummary]
    status: str
    count: int | None
    statuses: Sequence[str] = field(default=tuple(map(str, SessionStatus)))

    def costs(self, session_id: str) -> Mapping[str, Decimal]:
        """Return what the model calls of a session cost, by currency."""
        return self.usage[session_id].costs if session_id in self.usage else {}

    def lasted(self, session: Session, at: datetime) -> timedelta | None:
        """Return how long a session took, or has taken by now; None if it has not begun."""
        if session.status == SessionStatus.QUEUED:
            return None
        return (session.updated_at if session.status in ENDED else at) - session.created_at

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            **self.listed.to_dict(),
            "usage": {session_id: each.to_dict() for session_id, each in self.usage.items()},
            "count": self.count,
        }


async def read(visit: Visit) -> SessionsView:
    """Read the page: `q` is the filter, `status` one of its conditions, `count=yes` asks how many match."""
    status = visit.text("status")
    conditions = [f"status={status}"] if status in set(map(str, SessionStatus)) else []
    listed = await read_list(visit, Session, visit.storage.list_sessions, conditions=conditions)
    usage = await usage_of_sessions(visit.storage, [session.id for session in listed.records])
    count = await count_if_asked(visit, listed, visit.storage.count_sessions)
    return SessionsView(listed, usage, status, count)


PAGES = (Page("sessions", "sessions.html", read),)
