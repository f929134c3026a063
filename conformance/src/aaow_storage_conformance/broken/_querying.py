"""An adapter that fetches whole lists and applies the filter itself, like a backend without a query engine."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs

from aaow_storage import (
    ApprovalRequest,
    BudgetPool,
    Direction,
    LLMExecution,
    OrderBy,
    QueryFilter,
    Session,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
)
from aaow_storage.authoring import (
    Condition,
    ConditionGroup,
    Connective,
    QueryField,
    QueryPlan,
    plan_query,
    sort_key,
    without_documents,
)
from aaow_storage_conformance.broken._delegating import Delegating

LISTS: dict[str, type] = {
    "list_workflows": StoredWorkflow,
    "list_sessions": Session,
    "get_llm_executions": LLMExecution,
    "get_node_llm_executions": LLMExecution,
    "list_budget_pools": BudgetPool,
    "get_child_budget_pools": BudgetPool,
    "get_tool_calls": ToolCallLog,
    "get_session_tool_calls": ToolCallLog,
    "list_approval_requests": ApprovalRequest,
    "list_pending_approvals": ApprovalRequest,
    "get_stream_events": StreamEvent,
}
"""The operations that return a list, each with the record that it lists."""
COUNTS = {"count_workflows": "list_workflows", "count_sessions": "list_sessions"}


class Querying(Delegating):
    """Fetches a whole list from the reference adapter and applies the filter. A subclass gets one step wrong."""

    def plan(self, kind: type, filter: QueryFilter | None) -> QueryPlan:
        """Check a filter, and turn it into a plan."""
        return plan_query(kind, filter)

    def select(self, plan: QueryPlan, records: Iterable[Any]) -> list[Any]:
        """Filter and order the records, and cut the page out."""
        return self.cut(plan, self.sort(plan, [record for record in records if self.matches(plan, record)]))

    def matches(self, plan: QueryPlan, record: Any) -> bool:
        """Say whether a record meets the conditions and comes after the cursor."""
        return self.meets_all(plan.conditions, record) and (plan.after is None or self.is_after(plan, record))

    def meets_all(self, conditions: Iterable[Condition | ConditionGroup], record: Any) -> bool:
        """Say whether a record meets all conditions."""
        return all(self.holds(each, record) for each in conditions)

    def holds(self, condition: Condition | ConditionGroup, record: Any) -> bool:
        """Say whether a record meets a condition, or a group of them."""
        if isinstance(condition, Condition):
            return self.meets(condition, self.value_of(condition.field, record))
        return self.group_holds(condition.connective, [self.holds(each, record) for each in condition.parts])

    def group_holds(self, connective: Connective, results: list[bool]) -> bool:
        """Say whether a group holds, of whose conditions these are the results."""
        return all(results) if connective is Connective.ALL else any(results)

    def value_of(self, field: QueryField, record: Any) -> Any:
        """Return the value of a field or at a path."""
        return field.value_of(record)

    def meets(self, condition: Condition, value: Any) -> bool:
        """Say whether a value meets a condition."""
        return condition.matches(value)

    def key(self, value: Any) -> Any:
        """Return what a value sorts by."""
        return sort_key(value)

    def is_after(self, plan: QueryPlan, record: Any) -> bool:
        """Say whether a record comes after the one that the filter continues after."""
        for (field, direction), value in zip(plan.order, plan.after or (), strict=True):
            key, cursor = self.key(self.value_of(field, record)), self.key(value)
            if key != cursor:
                return bool((key > cursor) is (direction is Direction.ASCENDING))
        return False

    def sort(self, plan: QueryPlan, records: list[Any]) -> list[Any]:
        """Order the records."""
        for field, direction in reversed(plan.order):
            is_down = direction is Direction.DESCENDING
            records.sort(key=lambda record, field=field: self.key(self.value_of(field, record)), reverse=is_down)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return records

    def cut(self, plan: QueryPlan, records: list[Any]) -> list[Any]:
        """Cut the page out."""
        return records[plan.offset :][: plan.limit]


def _by_sequence(filter: QueryFilter | None) -> QueryFilter:
    """Return the filter with the order of events that are read after a sequence, unless it has one."""
    given = QueryFilter() if filter is None else filter
    is_ordered = not isinstance(given, QueryFilter) or given.order_by
    return given if is_ordered else attrs.evolve(given, order_by=OrderBy("sequence"))


def _listing(name: str) -> Callable[..., Awaitable[list[Any]]]:
    signature = inspect.signature(getattr(StorageOperations, name))

    async def operation(self: Querying, *args: Any, **kwargs: Any) -> list[Any]:
        given = signature.bind(self, *args, **kwargs).arguments
        filter_given, _ = given.pop("filter", None), given.pop("self")
        whole = await getattr(self.reference, name)(**given)
        if given.get("after_sequence") is not None:
            filter_given = _by_sequence(filter_given)
        plan = self.plan(LISTS[name], filter_given)
        selected = self.select(plan, whole)
        return selected if plan.documents else [without_documents(record) for record in selected]

    return operation


def _counting(name: str) -> Callable[..., Awaitable[int]]:
    async def operation(self: Querying, filter: QueryFilter | None = None) -> int:
        return len(await getattr(self, COUNTS[name])(filter))

    return operation


for _name in LISTS:
    setattr(Querying, _name, _listing(_name))
for _name in COUNTS:
    setattr(Querying, _name, _counting(_name))
