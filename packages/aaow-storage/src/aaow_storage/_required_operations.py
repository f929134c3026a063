"""The operations that every backend has, as abstract methods whose docstrings state the rules."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Unpack

from aaow_storage._changes import (
    ApprovalChanges,
    BudgetPoolChanges,
    SessionChanges,
    WorkflowChanges,
)
from aaow_storage._enums import SessionStatus, SessionStatusWord
from aaow_storage._filters import QueryFilter
from aaow_storage._operators import FieldName
from aaow_storage._records import (
    ApprovalRequest,
    BudgetPool,
    LLMExecution,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StoredWorkflow,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage._stream_operations import StreamOperations


class RequiredOperations(StreamOperations):
    """The operations of the contract's first version: a backend implements each of them."""

    # workflows

    @abstractmethod
    async def save_workflow(self, workflow: StoredWorkflow) -> None:
        """Insert the workflow, or replace the whole record that has its id."""

    @abstractmethod
    async def get_workflow(self, id: str) -> StoredWorkflow | None:
        """Return the workflow."""

    @abstractmethod
    async def list_workflows(self, filter: QueryFilter | None = None) -> list[StoredWorkflow]:
        """Return the workflows."""

    @abstractmethod
    async def count_workflows(self, filter: QueryFilter | None = None) -> int:
        """Return how many workflows `list_workflows` would return."""

    @abstractmethod
    async def update_workflow(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[WorkflowChanges]
    ) -> StoredWorkflow:
        """Change the named fields and no others; return the changed record.

        `updated_at` becomes now unless it is named. Sessions keep the snapshot that they were created with.

        A `Patch` changes single keys of a JSON object. `only_if` maps fields to values or operators, as in
        `QueryFilter.where`; both look at the record as it is stored, in the same atomic step.

        Raises:
            NotFoundError: there is no such workflow.
            ConflictError: it does not meet `only_if`; `current` is the stored record.
        """

    @abstractmethod
    async def delete_workflow(self, id: str) -> None:
        """Delete the workflow; its sessions stay, with `workflow_id` None and their snapshots.

        Raises:
            NotFoundError: there is no such workflow.
        """

    # sessions

    @abstractmethod
    async def create_session(self, session: Session) -> None:
        """Insert the session with its snapshot.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: its workflow or parent session is not stored.
        """

    @abstractmethod
    async def get_session(self, id: str) -> Session | None:
        """Return the session."""

    @abstractmethod
    async def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
        """Return the sessions."""

    @abstractmethod
    async def count_sessions(self, filter: QueryFilter | None = None) -> int:
        """Return how many sessions `list_sessions` would return."""

    @abstractmethod
    async def update_session(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[SessionChanges]
    ) -> Session:
        """Change `status`, `metadata` or `updated_at`, as named; return the changed record.

        `updated_at` becomes now unless it is named. `Patch` and `only_if` are as in `update_workflow`.

        Raises:
            NotFoundError: there is no such session.
            ConflictError: it does not meet `only_if`; `current` is the stored record.
        """

    @abstractmethod
    async def delete_session(self, id: str) -> None:
        """Delete the session with its execution state, node states, LLM executions, tool calls, approvals and events.

        Child sessions stay, with `parent_session_id` None.

        Raises:
            NotFoundError: there is no such session.
        """

    # execution state

    @abstractmethod
    async def save_execution_state(self, state: WorkflowExecutionState) -> None:
        """Replace the fields of the session's state, and insert or replace the given node states; other ones stay.

        The session gets the status of the state; if it had another, its `updated_at` becomes now.

        Raises:
            NotFoundError: there is no such session.
        """

    @abstractmethod
    async def get_execution_state(self, session_id: str) -> WorkflowExecutionState | None:
        """Return the state with all node states, all as of one instant."""

    @abstractmethod
    async def update_node_state(self, session_id: str, node_id: str, state: NodeExecutionState) -> None:
        """Insert the node's state, or replace it whole.

        Raises:
            NotFoundError: there is no such session, or its execution state was never saved.
            ValidationError: `state.node_id` is not `node_id`.
        """

    # LLM executions

    @abstractmethod
    async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        """Insert the execution, or replace the whole record that has its id; its logged tool calls stay.

        It can be saved while it runs (`success=None`), and again when it has ended.

        Raises:
            NotFoundError: there is no such session.
        """

    @abstractmethod
    async def get_llm_executions(self, session_id: str, filter: QueryFilter | None = None) -> list[LLMExecution]:
        """Return the executions of a session."""

    @abstractmethod
    async def get_node_llm_executions(
        self, session_id: str, node_id: str, filter: QueryFilter | None = None
    ) -> list[LLMExecution]:
        """Return the executions of one node of a session."""

    # budgets

    @abstractmethod
    async def create_budget_pool(self, pool: BudgetPool) -> None:
        """Insert the pool.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: its parent pool is not stored.
        """

    @abstractmethod
    async def get_budget_pool(self, id: str) -> BudgetPool | None:
        """Return the pool."""

    @abstractmethod
    async def list_budget_pools(self, filter: QueryFilter | None = None) -> list[BudgetPool]:
        """Return the pools."""

    @abstractmethod
    async def get_child_budget_pools(self, parent_id: str, filter: QueryFilter | None = None) -> list[BudgetPool]:
        """Return the pools that have this parent, without the children of those pools."""

    @abstractmethod
    async def update_budget_pool(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[BudgetPoolChanges]
    ) -> BudgetPool:
        """Set `total_budget`, `used_budget`, `status` or `metadata`, as named; return the changed record.

        `Patch` and `only_if` are as in `update_workflow`.

        Raises:
            NotFoundError: there is no such pool.
            ConflictError: it does not meet `only_if`; `current` is the stored record.
        """

    @abstractmethod
    async def delete_budget_pool(self, id: str) -> None:
        """Delete the pool.

        Raises:
            NotFoundError: there is no such pool.
            ConflictError: it has child pools.
        """

    @abstractmethod
    async def consume_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        """Add the amount to `used_budget` of the pool and of all its ancestors, or of none; return the pool.

        The amount is above 0. A pool with nothing left becomes exhausted.

        Raises:
            NotFoundError: there is no such pool.
            BudgetExceededError: the pool or an ancestor has too little left; the error's `pool` is that one.
            ConflictError: the pool or an ancestor is suspended.
        """

    @abstractmethod
    async def increase_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        """Add the amount, which is above 0, to `total_budget` of that pool alone; return the pool.

        An exhausted pool that has something left now becomes active.

        Raises:
            NotFoundError: there is no such pool.
        """

    # tool calls

    @abstractmethod
    async def log_tool_call(self, log: ToolCallLog) -> None:
        """Insert the tool call.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: there is no such execution.
        """

    @abstractmethod
    async def get_tool_calls(self, execution_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        """Return the tool calls of an LLM execution."""

    @abstractmethod
    async def get_session_tool_calls(self, session_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        """Return the tool calls of all LLM executions of a session."""

    # approvals

    @abstractmethod
    async def create_approval_request(self, request: ApprovalRequest) -> None:
        """Insert the request.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: there is no such session.
        """

    @abstractmethod
    async def get_approval_request(self, id: str) -> ApprovalRequest | None:
        """Return the request."""

    @abstractmethod
    async def list_approval_requests(
        self, session_id: str | None = None, filter: QueryFilter | None = None
    ) -> list[ApprovalRequest]:
        """Return all requests of a session, or of all sessions, decided or not."""

    @abstractmethod
    async def list_pending_approvals(self, filter: QueryFilter | None = None) -> list[ApprovalRequest]:
        """Return the requests of all sessions that can still be decided: they are pending and have not expired."""

    @abstractmethod
    async def update_approval_request(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[ApprovalChanges]
    ) -> ApprovalRequest:
        """Set `context` or `expires_at` of a pending request, or its `status` to expired; return the changed record.

        `Patch` and `only_if` are as in `update_workflow`.

        Raises:
            NotFoundError: there is no such request.
            ConflictError: it is not pending, or does not meet `only_if`; `current` is the stored record.
        """

    @abstractmethod
    async def approve_request(
        self,
        id: str,
        approved_by: str,
        notes: str | None = None,
        *,
        session_status: SessionStatus | SessionStatusWord | None = None,
    ) -> ApprovalRequest:
        """Approve a pending request; return it. Of several concurrent decisions, exactly one is stored.

        With `session_status`, the status of its session is set in the same step, as `update_session` sets it.

        Raises:
            NotFoundError: there is no such request.
            ConflictError: it is not pending, or has expired; `current` is the stored record with its decision.
        """

    @abstractmethod
    async def reject_request(
        self,
        id: str,
        rejected_by: str,
        reason: str | None = None,
        *,
        session_status: SessionStatus | SessionStatusWord | None = None,
    ) -> ApprovalRequest:
        """Reject a pending request; return it, with the reason as `resolution_notes`.

        `session_status` is as in `approve_request`.

        Raises:
            NotFoundError: there is no such request.
            ConflictError: it is not pending, or has expired; `current` is the stored record with its decision.
        """

    @abstractmethod
    async def expire_approvals(
        self, now: datetime | None = None, *, session_status: SessionStatus | SessionStatusWord | None = None
    ) -> list[ApprovalRequest]:
        """Set every pending request whose `expires_at` is not after `now` to expired; return those, by time, then id.

        `now` is by default the current time. With `session_status`, the status of the session of each request that
        is returned is set in the same step.
        """
