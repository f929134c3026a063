"""The enumerations of fields, capabilities and outcomes."""

from enum import StrEnum
from typing import Literal, TypeAlias


class SessionStatus(StrEnum):
    """The status of a session."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING_FOR_HUMAN_REVIEW = "waiting_for_human_review"
    WAITING_FOR_BUDGET_APPROVAL = "waiting_for_budget_approval"
    WAITING_FOR_WORKFLOW_APPROVAL = "waiting_for_workflow_approval"


SessionStatusWord: TypeAlias = Literal[
    "queued",
    "running",
    "paused",
    "completed",
    "failed",
    "cancelled",
    "waiting_for_human_review",
    "waiting_for_budget_approval",
    "waiting_for_workflow_approval",
]


class NodeExecutionStatus(StrEnum):
    """The status of one node of a session."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    WAITING_FOR_REVIEW = "waiting_for_review"


NodeExecutionStatusWord: TypeAlias = Literal[
    "pending",
    "running",
    "completed",
    "failed",
    "skipped",
    "cancelled",
    "waiting_for_approval",
    "waiting_for_review",
]


class BudgetPoolStatus(StrEnum):
    """The status of a budget pool; a suspended one cannot be consumed from."""

    ACTIVE = "active"
    EXHAUSTED = "exhausted"
    SUSPENDED = "suspended"


BudgetPoolStatusWord: TypeAlias = Literal["active", "exhausted", "suspended"]


class ApprovalType(StrEnum):
    """What a person is asked to decide."""

    HUMAN_REVIEW = "human_review"
    BUDGET_INCREASE = "budget_increase"
    WORKFLOW_CALL = "workflow_call"
    TOOL_CALL = "tool_call"


ApprovalTypeWord: TypeAlias = Literal["human_review", "budget_increase", "workflow_call", "tool_call"]


class ApprovalStatus(StrEnum):
    """The status of an approval request; a pending one can still be decided, until it expires."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


ApprovalStatusWord: TypeAlias = Literal["pending", "approved", "rejected", "expired"]


class Direction(StrEnum):
    """The direction of an order."""

    ASCENDING = "asc"
    DESCENDING = "desc"


DirectionWord: TypeAlias = Literal["asc", "desc"]


class Capability(StrEnum):
    """What a backend may or may not be able to do; it must do everything else in the contract."""

    STREAM_EVENTS = "stream_events"
    """`save_stream_event` and `get_stream_events` work; otherwise both raise `UnsupportedOperationError`."""
    CHANGES = "changes"
    """`get_changes`, `last_change`, `prune_changes` and `changes` work; otherwise they raise
    `UnsupportedOperationError`."""
    DURABLE = "durable"
    """What was stored survives the end of the process, even a killed one, and other processes see it."""
    WRITERS_WAIT = "writers_wait"
    """A writer waits for an open transaction that is in its way; otherwise it goes first, and aborts that one."""


class TransactionOutcome(StrEnum):
    """How a transaction ended.

    It was committed or rolled back by a call, timed out, or was aborted because another transaction was in its way, its
    adapter closed or its connection failed. It is unknown if the connection failed during the commit, and nobody can
    say whether that succeeded.
    """

    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    TIMED_OUT = "timed_out"
    ABORTED = "aborted"
    UNKNOWN = "unknown"

    @property
    def is_forced(self) -> bool:
        """Whether the transaction was rolled back without a call: it timed out, or was aborted."""
        return self in {TransactionOutcome.TIMED_OUT, TransactionOutcome.ABORTED}
