"""The records: frozen values that are validated when they are built, and know nothing of storage."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self, cast

from attrs import evolve, field, frozen

from aaow_storage import _amounts as amounts
from aaow_storage import _validators as validators
from aaow_storage import _values as values
from aaow_storage._enums import (
    ApprovalStatus,
    ApprovalStatusWord,
    ApprovalType,
    ApprovalTypeWord,
    BudgetPoolStatus,
    BudgetPoolStatusWord,
    NodeExecutionStatus,
    NodeExecutionStatusWord,
    SessionStatus,
    SessionStatusWord,
)
from aaow_storage._ids import new_id, now
from aaow_storage._json import JSON, JSONObject
from aaow_storage._record_dicts import Record


def _session_status(value: SessionStatus | SessionStatusWord) -> SessionStatus:
    return values.member_or_same(SessionStatus, value)


def _node_status(value: NodeExecutionStatus | NodeExecutionStatusWord) -> NodeExecutionStatus:
    return values.member_or_same(NodeExecutionStatus, value)


def _pool_status(value: BudgetPoolStatus | BudgetPoolStatusWord) -> BudgetPoolStatus:
    return values.member_or_same(BudgetPoolStatus, value)


def _approval_type(value: ApprovalType | ApprovalTypeWord) -> ApprovalType:
    return values.member_or_same(ApprovalType, value)


def _approval_status(value: ApprovalStatus | ApprovalStatusWord) -> ApprovalStatus:
    return values.member_or_same(ApprovalStatus, value)


def _tool_calls(value: "tuple[ToolCall, ...] | list[ToolCall] | None") -> "tuple[ToolCall, ...] | None":
    return None if value is None else values.as_tuple_or_none(value)


def _attempts(value: "tuple[NodeAttempt, ...] | list[NodeAttempt]") -> "tuple[NodeAttempt, ...]":
    return cast("tuple[NodeAttempt, ...]", values.as_tuple_or_none(value))


def _node_states(value: "Mapping[str, NodeExecutionState]") -> "Mapping[str, NodeExecutionState]":
    return values.copy_mapping(value)


def _are_node_states(instance: object, attribute: validators.Named, value: Any) -> None:
    if not isinstance(value, dict):
        raise validators.invalid(
            instance, attribute, f"must be a mapping of node ids to states, not {type(value).__name__}"
        )
    for node_id, state in value.items():
        if not isinstance(state, NodeExecutionState):
            problem = f"[{node_id!r}] must be NodeExecutionState, not {type(state).__name__}"
            raise validators.invalid(instance, attribute, problem)
        if state.node_id != node_id:
            problem = f"[{node_id!r}] holds the state of node {state.node_id!r}; key and node_id must be the same"
            raise validators.invalid(instance, attribute, problem)


def _is_id_of_tool_call(instance: Any, attribute: validators.Named, value: Any) -> None:
    if value is not None:
        validators.is_id(instance, attribute, value)
    elif instance.execution_id is None:
        problem = "is missing; a tool call needs an execution_id, or both session_id and node_id"
        raise validators.invalid(instance, attribute, problem)


_optional_id = validators.optional(validators.is_id)
_optional_text = validators.optional(validators.is_text)
_optional_instant = validators.optional(validators.is_instant)
_optional_count = validators.optional(validators.is_count)
_optional_object = validators.optional(validators.is_json_object)


@frozen(kw_only=True, eq=False, repr=False)
class StoredWorkflow(Record):
    """The definition of a workflow."""

    id: str = field(factory=new_id, validator=validators.is_id)
    name: str = field(validator=validators.is_text)
    version: str = field(validator=validators.is_text)
    definition: JSONObject = field(validator=validators.is_document)
    created_at: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    updated_at: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    metadata: JSONObject | None = field(default=None, validator=_optional_object)


@frozen(kw_only=True, eq=False, repr=False)
class Session(Record):
    """One run of a workflow, with a snapshot of the whole definition it runs.

    `workflow_id` is None if the definition was never stored as a workflow, or the workflow was deleted.
    """

    id: str = field(factory=new_id, validator=validators.is_id)
    workflow_id: str | None = field(validator=_optional_id)
    workflow_snapshot: JSONObject = field(validator=validators.is_document)
    status: SessionStatus = field(
        default=SessionStatus.RUNNING, converter=_session_status, validator=validators.is_member(SessionStatus)
    )
    parent_session_id: str | None = field(default=None, validator=_optional_id)
    created_at: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    updated_at: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    metadata: JSONObject | None = field(default=None, validator=_optional_object)


@frozen(kw_only=True, eq=False, repr=False)
class NodeAttempt(Record):
    """One attempt at a node that ended, and was followed by another. `output` is any JSON; None is JSON null."""

    status: NodeExecutionStatus = field(converter=_node_status, validator=validators.is_member(NodeExecutionStatus))
    started_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    completed_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    error: str | None = field(default=None, validator=_optional_text)
    output: JSON = field(default=None, validator=validators.is_json)


@frozen(kw_only=True, eq=False, repr=False)
class NodeExecutionState(Record):
    """The state of one node of a session. `input` and `output` are any JSON; None is JSON null.

    The state is that of the latest attempt; `attempts` are those that ended before it, oldest first.
    """

    node_id: str = field(validator=validators.is_id)
    status: NodeExecutionStatus = field(
        default=NodeExecutionStatus.PENDING, converter=_node_status, validator=validators.is_member(NodeExecutionStatus)
    )
    input: JSON = field(default=None, validator=validators.is_json)
    output: JSON = field(default=None, validator=validators.is_json)
    error: str | None = field(default=None, validator=_optional_text)
    started_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    completed_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    retry_count: int = field(default=0, validator=validators.is_count)
    pending_approval_id: str | None = field(default=None, validator=_optional_id)
    metadata: JSONObject | None = field(default=None, validator=_optional_object)
    attempts: tuple[NodeAttempt, ...] = field(
        default=(), converter=_attempts, validator=validators.is_tuple_of(NodeAttempt)
    )

    def retried(self, at: datetime) -> Self:
        """Return the state of the next attempt, which starts at that instant: running, without output and error.

        The present attempt is the last of its `attempts`, ended at that instant unless it has ended; `retry_count` is
        one more. `input`, `metadata` and `pending_approval_id` stay.

        Raises:
            ValidationError: `at` is not an aware datetime.
        """
        ended = NodeAttempt(
            status=self.status,
            started_at=self.started_at,
            completed_at=at if self.completed_at is None else self.completed_at,
            error=self.error,
            output=self.output,
        )
        return evolve(
            self,
            status=NodeExecutionStatus.RUNNING,
            output=None,
            error=None,
            started_at=at,
            completed_at=None,
            retry_count=self.retry_count + 1,
            attempts=(*self.attempts, ended),
        )


@frozen(kw_only=True, eq=False, repr=False)
class NodeState(NodeExecutionState):
    """A stored node state: the state, and the session that it belongs to."""

    session_id: str = field(validator=validators.is_id)


@frozen(kw_only=True, eq=False, repr=False)
class WorkflowExecutionState(Record):
    """The state of a session: its own fields, and the states of its nodes by node id."""

    session_id: str = field(validator=validators.is_id)
    status: SessionStatus = field(converter=_session_status, validator=validators.is_member(SessionStatus))
    budget_pool_id: str | None = field(default=None, validator=_optional_id)
    current_node_id: str | None = field(default=None, validator=_optional_id)
    started_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    completed_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    node_states: Mapping[str, NodeExecutionState] = field(
        factory=dict, converter=_node_states, validator=_are_node_states
    )
    metadata: JSONObject | None = field(default=None, validator=_optional_object)


@frozen(kw_only=True, eq=False, repr=False)
class TokenUsage(Record):
    """How many tokens a model call used, as the provider reported it; None is a figure that it did not report.

    `cache_read_tokens` and `cache_write_tokens` are those of `prompt_tokens` that were read from, or written to, the
    provider's cache; `reasoning_tokens` are those of `completion_tokens` that are not in the answer.
    """

    prompt_tokens: int = field(validator=validators.is_count)
    completion_tokens: int = field(validator=validators.is_count)
    total_tokens: int = field(validator=validators.is_count)
    cache_read_tokens: int | None = field(default=None, validator=_optional_count)
    cache_write_tokens: int | None = field(default=None, validator=_optional_count)
    reasoning_tokens: int | None = field(default=None, validator=_optional_count)


@frozen(kw_only=True, eq=False, repr=False)
class ToolCall(Record):
    """One tool call: what the model asked for, and the result or error."""

    tool_call_id: str = field(validator=validators.is_id)
    tool_name: str = field(validator=validators.is_text)
    args: JSONObject = field(validator=validators.is_json_object)
    result: JSON = field(default=None, validator=validators.is_json)
    error: str | None = field(default=None, validator=_optional_text)


@frozen(kw_only=True, eq=False, repr=False)
class LLMExecutionResult(Record):
    """One model call. `success` is None while it runs; `usage` is None if the provider reported none.

    `input` is what was sent, usually the list of messages, and `output` a structured answer beside the plain `text`;
    both are any JSON. `cost` is an amount in the `currency`, three capital letters; there are both, or none. `attempt`
    counts from 0.
    """

    id: str = field(factory=new_id, validator=validators.is_id)
    timestamp: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    success: bool | None = field(default=None, validator=validators.optional(validators.is_bool))
    text: str | None = field(default=None, validator=_optional_text)
    tool_calls: tuple[ToolCall, ...] | None = field(
        default=None, converter=_tool_calls, validator=validators.optional(validators.is_tuple_of(ToolCall))
    )
    usage: TokenUsage | None = field(default=None, validator=validators.optional(validators.is_instance(TokenUsage)))
    error: str | None = field(default=None, validator=_optional_text)
    metadata: JSONObject | None = field(default=None, validator=_optional_object)
    provider: str | None = field(default=None, validator=_optional_text)
    model: str | None = field(default=None, validator=_optional_text)
    input: JSON = field(default=None, validator=validators.is_json)
    output: JSON = field(default=None, validator=validators.is_json)
    completed_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    finish_reason: str | None = field(default=None, validator=_optional_text)
    cost: Decimal | None = field(
        default=None, converter=amounts.as_amount_or_none, validator=validators.optional(validators.is_amount)
    )
    currency: str | None = field(default=None, validator=validators.is_currency)
    attempt: int = field(default=0, validator=validators.is_count)

    @property
    def duration(self) -> timedelta | None:
        """The time from `timestamp` to `completed_at`; None if it has not ended."""
        return None if self.completed_at is None else self.completed_at - self.timestamp


@frozen(kw_only=True, eq=False, repr=False)
class LLMExecution(LLMExecutionResult):
    """A stored model call: its result, and the session and node it belongs to."""

    session_id: str = field(validator=validators.is_id)
    node_id: str = field(validator=validators.is_id)


@frozen(kw_only=True, eq=False, repr=False)
class ToolCallLog(ToolCall):
    """A logged tool call, of an LLM execution or of a node itself. `duration_ms` is in milliseconds.

    Without an `execution_id`, `session_id` and `node_id` are required. With one they may be left out; a stored call has
    those of its execution. So they do not count when calls are compared.
    """

    id: str = field(factory=new_id, validator=validators.is_id)
    execution_id: str | None = field(default=None, validator=_optional_id)
    timestamp: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    duration_ms: float | None = field(
        default=None, converter=values.as_float, validator=validators.optional(validators.is_duration)
    )
    session_id: str | None = field(default=None, validator=_is_id_of_tool_call, eq=False)
    node_id: str | None = field(default=None, validator=_is_id_of_tool_call, eq=False)


@frozen(kw_only=True, eq=False, repr=False)
class BudgetPool(Record):
    """An amount (of tokens, or of money in one currency) that sessions can use up, perhaps part of a larger pool.

    Amounts are exact decimals of 0 or more and below 10**18, with at most 18 places after the point. An int, a float or
    a numeral as str is converted, a float with its shortest form, rounded half to even at the 18th place. Zeros at the
    end are not kept: `12.50` is `12.5`, and `1E+3` is `1000`.
    """

    id: str = field(factory=new_id, validator=validators.is_id)
    parent_pool_id: str | None = field(default=None, validator=_optional_id)
    total_budget: Decimal = field(converter=amounts.as_amount, validator=validators.is_amount)
    used_budget: Decimal = field(default=Decimal(0), converter=amounts.as_amount, validator=validators.is_amount)
    status: BudgetPoolStatus = field(
        default=BudgetPoolStatus.ACTIVE, converter=_pool_status, validator=validators.is_member(BudgetPoolStatus)
    )
    created_at: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    metadata: JSONObject | None = field(default=None, validator=_optional_object)

    @property
    def remaining_budget(self) -> Decimal:
        """`total_budget` minus `used_budget`; below 0 if the total was lowered to less than what is used."""
        return amounts.difference(self.total_budget, self.used_budget)


@frozen(kw_only=True, eq=False, repr=False)
class ApprovalRequest(Record):
    """A decision that a person is asked for. From `expires_at` on, it can no longer be made."""

    id: str = field(factory=new_id, validator=validators.is_id)
    session_id: str = field(validator=validators.is_id)
    node_id: str = field(validator=validators.is_id)
    type: ApprovalType = field(converter=_approval_type, validator=validators.is_member(ApprovalType))
    status: ApprovalStatus = field(
        default=ApprovalStatus.PENDING, converter=_approval_status, validator=validators.is_member(ApprovalStatus)
    )
    context: JSONObject = field(factory=dict, validator=validators.is_json_object)
    created_at: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    expires_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    resolved_at: datetime | None = field(default=None, converter=values.as_utc_or_none, validator=_optional_instant)
    resolved_by: str | None = field(default=None, validator=_optional_text)
    resolution_notes: str | None = field(default=None, validator=_optional_text)


@frozen(kw_only=True, eq=False, repr=False)
class StreamEvent(Record):
    """One item that a node of a workflow emitted to a stream.

    If it has a `session_id`, it is deleted with the session. The store sets `sequence`, which counts the events of a
    stream from 1 in the order of their commits. It is None until the event is stored, ignored when it is saved, and
    does not count when events are compared.
    """

    id: str = field(factory=new_id, validator=validators.is_id)
    stream_id: str = field(validator=validators.is_id)
    node_id: str = field(validator=validators.is_id)
    data: JSON = field(validator=validators.is_json)
    timestamp: datetime = field(factory=now, converter=values.as_utc, validator=validators.is_instant)
    session_id: str | None = field(default=None, validator=_optional_id)
    sequence: int | None = field(default=None, validator=_optional_count, eq=False)


KINDS: dict[type, str] = {
    StoredWorkflow: "workflow",
    Session: "session",
    WorkflowExecutionState: "execution_state",
    LLMExecution: "llm_execution",
    ToolCallLog: "tool_call",
    BudgetPool: "budget_pool",
    ApprovalRequest: "approval_request",
    StreamEvent: "stream_event",
}
"""What `NotFoundError.kind` and `AlreadyExistsError.kind` call each stored record."""

DEPENDENT_FIELDS: dict[type, tuple[str, ...]] = {
    LLMExecutionResult: ("currency",),
    LLMExecution: ("currency",),
}
"""The fields whose validators look at a field before them, also if the value is None; other records have none."""

NOT_ALWAYS_OPTIONAL_FIELDS: dict[type, tuple[str, ...]] = {ToolCallLog: ("session_id", "node_id")}
"""The fields whose validators look at a field before them if the value is None, and only then."""

DOCUMENT_FIELDS: dict[type, str] = {StoredWorkflow: "definition", Session: "workflow_snapshot"}
"""The field that holds a record's document; other records have none."""

OMITTED_FIELDS: dict[type, tuple[str, ...]] = {
    **{record: (name,) for record, name in DOCUMENT_FIELDS.items()},
    LLMExecution: ("input", "output"),
}
"""The fields that `QueryFilter(documents=False)` leaves out of a record; other records have none."""
