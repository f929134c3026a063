"""`SyncStoreWideOperations`: made by `nox -s generate` from `aaow_storage._store_wide_operations`, so change that."""

from aaow_storage._filters import QueryFilter
from aaow_storage._records import LLMExecution, NodeExecutionState, NodeState, ToolCallLog, WorkflowExecutionState
from aaow_storage._usage_summary import UsageKey, UsageSummary
from aaow_storage.sync._required_operations import SyncRequiredOperations


class SyncStoreWideOperations(SyncRequiredOperations):
    """Lists, counts and sums over all sessions, and single nodes.

    By default each reads several times, so that a list is not of one instant if others write meanwhile.
    """

    def get_node_state(self, session_id: str, node_id: str) -> NodeExecutionState | None:
        """Return the state of one node, without reading the others."""
        return self._run(lambda: self.wrapped.get_node_state(session_id, node_id))

    def list_node_states(self, filter: QueryFilter | None = None) -> list[NodeState]:
        """Return the states of the nodes of all sessions, by session id, then node id."""
        return self._run(lambda: self.wrapped.list_node_states(filter))

    def list_execution_states(self, filter: QueryFilter | None = None) -> list[WorkflowExecutionState]:
        """Return the execution states of all sessions, each with all node states, by session id."""
        return self._run(lambda: self.wrapped.list_execution_states(filter))

    def list_llm_executions(self, filter: QueryFilter | None = None) -> list[LLMExecution]:
        """Return the LLM executions of all sessions."""
        return self._run(lambda: self.wrapped.list_llm_executions(filter))

    def count_llm_executions(self, filter: QueryFilter | None = None) -> int:
        """Return how many executions `list_llm_executions` would return."""
        return self._run(lambda: self.wrapped.count_llm_executions(filter))

    def list_tool_calls(self, filter: QueryFilter | None = None) -> list[ToolCallLog]:
        """Return the tool calls of all sessions.

        A call of an LLM execution has the `session_id` and `node_id` of its execution, and the filter may name them.
        """
        return self._run(lambda: self.wrapped.list_tool_calls(filter))

    def count_approval_requests(self, filter: QueryFilter | None = None) -> int:
        """Return how many requests `list_approval_requests` would return for all sessions."""
        return self._run(lambda: self.wrapped.count_approval_requests(filter))

    def summarize_usage(
        self, group_by: tuple[UsageKey, ...] | list[UsageKey] = (), filter: QueryFilter | None = None
    ) -> list[UsageSummary]:
        """Sum up the usage, costs and durations of the LLM executions that match the filter, in groups.

        There is a summary for each combination of values of the keys that an execution has, ordered by the keys: None
        first, texts by code point. Without keys there is one, of all executions, even if there is none. Sums are exact,
        and a figure that is missing is never counted as 0.

        The filter may have conditions only: no order, no limit, no offset, no `after`.
        """
        return self._run(lambda: self.wrapped.summarize_usage(group_by, filter))
