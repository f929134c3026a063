"""What pages show of a request for approval: the question, its context, and what waits for the decision."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from aaow_storage import JSON, ApprovalRequest, ApprovalStatus, In, QueryFilter, Session, StorageAdapter, StoredWorkflow

QUESTION_KEYS = ("question", "message", "prompt", "title")
"""The keys of a context whose text is the question; the first that is there counts."""

_QUESTIONS: Mapping[str, str] = {
    "human_review": "Is this right?",
    "budget_increase": "May the budget be increased?",
    "workflow_call": "May the workflow be called?",
    "tool_call": "May the tool be called?",
}
"""What a request without a question asks, by its type."""


@frozen
class Asked:
    """A request for approval, and what waits for the decision.

    Attributes:
        request: the request.
        session: its session, without documents; None if it is gone.
        workflow: the workflow of that, without its definition; None if it has none.
    """

    request: ApprovalRequest
    session: Session | None
    workflow: StoredWorkflow | None

    @property
    def key(self) -> str:
        """A short text for the ids of elements, since the id of the request may be any text."""
        return hashlib.sha256(self.request.id.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def question(self) -> str:
        """What is asked."""
        key = self._question_key
        return str(self.request.context[key]) if key else _QUESTIONS[self.request.type]

    @property
    def facts(self) -> list[tuple[str, JSON]]:
        """The rest of the context."""
        return [(key, value) for key, value in self.request.context.items() if key != self._question_key]

    def status(self, at: datetime) -> ApprovalStatus:
        """Return the status at an instant: a request expires in time, whether or not that was stored."""
        return ApprovalStatus.EXPIRED if has_expired(self.request, at) else self.request.status

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        session, workflow = self.session, self.workflow
        return {
            "request": self.request.to_dict(),
            "session": session and {"id": session.id, "status": session.status},
            "workflow": workflow and {"id": workflow.id, "name": workflow.name, "version": workflow.version},
        }

    @property
    def _question_key(self) -> str | None:
        context = self.request.context
        return next((key for key in QUESTION_KEYS if isinstance(context.get(key), str) and context[key].strip()), None)


def has_expired(request: ApprovalRequest, at: datetime) -> bool:
    """Say whether a request is pending, but can no longer be decided."""
    return request.status is ApprovalStatus.PENDING and request.expires_at is not None and request.expires_at <= at


async def with_what_waits(storage: StorageAdapter, requests: Sequence[ApprovalRequest]) -> list[Asked]:
    """Return requests with the sessions and the workflows that wait for them; they are read in two queries."""
    session_ids = {request.session_id for request in requests}
    found = await storage.list_sessions(_of_ids(session_ids)) if session_ids else []
    sessions = {session.id: session for session in found}
    workflow_ids = {session.workflow_id for session in found if session.workflow_id is not None}
    workflows = {each.id: each for each in await storage.list_workflows(_of_ids(workflow_ids))} if workflow_ids else {}
    asked = []
    for request in requests:
        session = sessions.get(request.session_id)
        workflow = workflows.get(session.workflow_id) if session is not None and session.workflow_id else None
        asked.append(Asked(request, session, workflow))
    return asked


def _of_ids(ids: set[str]) -> QueryFilter:
    return QueryFilter({"id": In(sorted(ids))}, documents=False)
