"""`SyncRequiredOperations`: made by `nox -s generate` from `aaow_storage._required_operations`, so change that."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Unpack

from aaow_storage._changes import ApprovalChanges, BudgetPoolChanges, SessionChanges, WorkflowChanges
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
from aaow_storage.sync._stream_operations import SyncStreamOperations


class SyncRequiredOperations(SyncStreamOperations):
    """The operations of the contract's first version: a backend implements each of them."""

    # workflows

    def save_workflow(self, workflow: StoredWorkflow) -> None:
        """Insert the workflow, or replace the whole record that has its id."""
        self._run(lambda: self.wrapped.save_workflow(workflow))

    def get_workflow(self, id: str) -> StoredWorkflow | None:
        """Return the workflow."""
        return self._run(lambda: self.wrapped.get_workflow(id))

    def list_workflows(self, filter: QueryFilter | None = None) -> list[StoredWorkflow]:
        """Return the workflows."""
        return self._run(lambda: self.wrapped.list_workflows(filter))

    def count_workflows(self, filter: QueryFilter | None = None) -> int:
        """Return how many workflows `list_workflows` would return."""
        return self._run(lambda: self.wrapped.count_workflows(filter))

    def update_workflow(
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
        return self._run(lambda: self.wrapped.update_workflow(id, only_if=only_if, **changes))

    def delete_workflow(self, id: str) -> None:
        """Delete the workflow; its sessions stay, with `workflow_id` None and their snapshots.

        Raises:
            NotFoundError: there is no such workflow.
        """
        self._run(lambda: self.wrapped.delete_workflow(id))

    # sessions

    def create_session(self, session: Session) -> None:
        """Insert the session with its snapshot.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: its workflow or parent session is not stored.
        """
        self._run(lambda: self.wrapped.create_session(session))

    def get_session(self, id: str) -> Session | None:
        """Return the session."""
        return self._run(lambda: self.wrapped.get_session(id))

    def list_sessions(self, filter: QueryFilter | None = None) -> list[Session]:
        """Return the sessions."""
        return self._run(lambda: self.wrapped.list_sessions(filter))

    def count_sessions(self, filter: QueryFilter | None = None) -> int:
        """Return how many sessions `list_sessions` would return."""
        return self._run(lambda: self.wrapped.count_sessions(filter))

    def update_session(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[SessionChanges]
    ) -> Session:
        """Change `status`, `metadata` or `updated_at`, as named; return the changed record.

        `updated_at` becomes now unless it is named. `Patch` and `only_if` are as in `update_workflow`.

        Raises:
            NotFoundError: there is no such session.
            ConflictError: it does not meet `only_if`; `current` is the stored record.
        """
        return self._run(lambda: self.wrapped.update_session(id, only_if=only_if, **changes))

    def delete_session(self, id: str) -> None:
        """Delete the session with its execution state, node states, LLM executions, tool calls, approvals and events.

        Child sessions stay, with `parent_session_id` None.

        Raises:
            NotFoundError: there is no such session.
        """
        self._run(lambda: self.wrapped.delete_session(id))

    # execution state

    def save_execution_state(self, state: WorkflowExecutionState) -> None:
        """Replace the fields of the session's state, and insert or replace the given node states; other ones stay.

        The session gets the status of the state; if it had another, its `updated_at` becomes now.

        Raises:
            NotFoundError: there is no such session.
        """
        self._run(lambda: self.wrapped.save_execution_state(state))

    def get_execution_state(self, session_id: str) -> WorkflowExecutionState | None:
        """Return the state with all node states, all as of one instant."""
        return self._run(lambda: self.wrapped.get_execution_state(session_id))

    def update_node_state(self, session_id: str, node_id: str, state: NodeExecutionState) -> None:
        """Insert the node's state, or replace it whole.

        Raises:
            NotFoundError: there is no such session, or its execution state was never saved.
            ValidationError: `state.node_id` is not `node_id`.
        """
        self._run(lambda: self.wrapped.update_node_state(session_id, node_id, state))

    # LLM executions

    def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        """Insert the execution, or replace the whole record that has its id; its logged tool calls stay.

        It can be saved while it runs (`success=None`), and again when it has ended.

        Raises:
            NotFoundError: there is no such session.
        """
        self._run(lambda: self.wrapped.save_llm_execution(session_id, node_id, result))

    def get_llm_executions(self, session_id: str, filter: QueryFilter | None = None) -> list[LLMExecution]:
        """Return the executions of a session."""
        return self._run(lambda: self.wrapped.get_llm_executions(session_id, filter))

    def get_node_llm_executions(
        self, session_id: str, node_id: str, filter: QueryFilter | None = None
    ) -> list[LLMExecution]:
        """Return the executions of one node of a session."""
        return self._run(lambda: self.wrapped.get_node_llm_executions(session_id, node_id, filter))

    # budgets

    def create_budget_pool(self, pool: BudgetPool) -> None:
        """Insert the pool.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: its parent pool is not stored.
        """
        self._run(lambda: self.wrapped.create_budget_pool(pool))

    def get_budget_pool(self, id: str) -> BudgetPool | None:
        """Return the pool."""
        return self._run(lambda: self.wrapped.get_budget_pool(id))

    def list_budget_pools(self, filter: QueryFilter | None = None) -> list[BudgetPool]:
        """Return the pools."""
        return self._run(lambda: self.wrapped.list_budget_pools(filter))

    def get_child_budget_pools(self, parent_id: str, filter: QueryFilter | None = None) -> list[BudgetPool]:
        """Return the pools that have this parent, without the children of those pools."""
        return self._run(lambda: self.wrapped.get_child_budget_pools(parent_id, filter))

    def update_budget_pool(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[BudgetPoolChanges]
    ) -> BudgetPool:
        """Set `total_budget`, `used_budget`, `status` or `metadata`, as named; return the changed record.

        `Patch` and `only_if` are as in `update_workflow`.

        Raises:
            NotFoundError: there is no such pool.
            ConflictError: it does not meet `only_if`; `current` is the stored record.
        """
        return self._run(lambda: self.wrapped.update_budget_pool(id, only_if=only_if, **changes))

    def delete_budget_pool(self, id: str) -> None:
        """Delete the pool.

        Raises:
            NotFoundError: there is no such pool.
            ConflictError: it has child pools.
        """
        self._run(lambda: self.wrapped.delete_budget_pool(id))

    def consume_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        """Add the amount to `used_budget` of the pool and of all its ancestors, or of none; return the pool.

        The amount is above 0. A pool with nothing left becomes exhausted.

        Raises:
            NotFoundError: there is no such pool.
            BudgetExceededError: the pool or an ancestor has too little left; the error's `pool` is that one.
            ConflictError: the pool or an ancestor is suspended.
        """
        return self._run(lambda: self.wrapped.consume_budget(pool_id, amount))

    def increase_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        """Add the amount, which is above 0, to `total_budget` of that pool alone; return the pool.

        An exhausted pool that has something left now becomes active.

        Raises:
            NotFoundError: there is no such pool.
        """
        return self._run(lambda: self.wrapped.increase_budget(pool_id, amount))

    # tool calls

    def log_tool_call(self, log: ToolCallLog) -> None:
        """Insert the tool call.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: there is no such execution.
        """
        self._run(lambda: self.wrapped.log_tool_call(log))

    def get_tool_calls(self, execution_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        """Return the tool calls of an LLM execution."""
        return self._run(lambda: self.wrapped.get_tool_calls(execution_id, filter))

    def get_session_tool_calls(self, session_id: str, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        """Return the tool calls of all LLM executions of a session."""
        return self._run(lambda: self.wrapped.get_session_tool_calls(session_id, filter))

    # approvals

    def create_approval_request(self, request: ApprovalRequest) -> None:
        """Insert the request.

        Raises:
            AlreadyExistsError: the id is taken.
            NotFoundError: there is no such session.
        """
        self._run(lambda: self.wrapped.create_approval_request(request))

    def get_approval_request(self, id: str) -> ApprovalRequest | None:
        """Return the request."""
        return self._run(lambda: self.wrapped.get_approval_request(id))

    def list_approval_requests(
        self, session_id: str | None = None, filter: QueryFilter | None = None
    ) -> list[ApprovalRequest]:
        """Return all requests of a session, or of all sessions, decided or not."""
        return self._run(lambda: self.wrapped.list_approval_requests(session_id, filter))

    def list_pending_approvals(self, filter: QueryFilter | None = None) -> list[ApprovalRequest]:
        """Return the requests of all sessions that can still be decided: they are pending and have not expired."""
        return self._run(lambda: self.wrapped.list_pending_approvals(filter))

    def update_approval_request(
        self, id: str, /, *, only_if: Mapping[FieldName, Any] | None = None, **changes: Unpack[ApprovalChanges]
    ) -> ApprovalRequest:
        """Set `context` or `expires_at` of a pending request, or its `status` to expired; return the changed record.

        `Patch` and `only_if` are as in `update_workflow`.

        Raises:
            NotFoundError: there is no such request.
            ConflictError: it is not pending, or does not meet `only_if`; `current` is the stored record.
        """
        return self._run(lambda: self.wrapped.update_approval_request(id, only_if=only_if, **changes))

    def approve_request(
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
        return self._run(lambda: self.wrapped.approve_request(id, approved_by, notes, session_status=session_status))

    def reject_request(
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
        return self._run(lambda: self.wrapped.reject_request(id, rejected_by, reason, session_status=session_status))

    def expire_approvals(
        self, now: datetime | None = None, *, session_status: SessionStatus | SessionStatusWord | None = None
    ) -> list[ApprovalRequest]:
        """Set every pending request whose `expires_at` is not after `now` to expired; return those, by time, then id.

        `now` is by default the current time. With `session_status`, the status of the session of each request that
        is returned is set in the same step.
        """
        return self._run(lambda: self.wrapped.expire_approvals(now, session_status=session_status))
