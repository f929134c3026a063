"""The closed sets of words that a record's field may hold."""

from enum import StrEnum


class SessionStatus(StrEnum):
    """How far a run of a workflow has come."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    WAITING_FOR_HUMAN_REVIEW = "waiting_for_human_review"
    WAITING_FOR_BUDGET_APPROVAL = "waiting_for_budget_approval"
    WAITING_FOR_WORKFLOW_APPROVAL = "waiting_for_workflow_approval"


class NodeExecutionStatus(StrEnum):
    """How far one node of a run has come."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    WAITING_FOR_REVIEW = "waiting_for_review"


class BudgetPoolStatus(StrEnum):
    """Whether a budget pool can be consumed from."""

    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    SUSPENDED = "suspended"


class ApprovalType(StrEnum):
    """What a human is asked to decide."""

    HUMAN_REVIEW = "human_review"
    BUDGET_INCREASE = "budget_increase"
    WORKFLOW_CALL = "workflow_call"


class ApprovalStatus(StrEnum):
    """What became of an approval request."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Direction(StrEnum):
    """Which way a list is ordered."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class Capability(StrEnum):
    """What a backend may or may not be able to do; everything else in the contract is a must."""

    STREAM_EVENTS = "stream_events"
    """`save_stream_event` and `get_stream_events` work; otherwise both raise `UnsupportedOperationError`."""
    DURABLE = "durable"
    """What was stored survives the death of the process, and other processes see it."""
