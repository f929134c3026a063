"""Every operation that takes a filter and returns a list, each with a scope to list."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from aaow_storage import Capability, Contains, Gt, In, Lt, Ne, QueryFilter, StorageOperations
from aaow_storage_conformance._contract import requires
from aaow_storage_conformance.data import kinds, samples

HOME, OTHER = "home session", "other session"
HOME_POOL, HOME_STREAM = "home pool", "home stream"

List = Callable[[StorageOperations, Any], Awaitable[Any]]


@attrs.frozen(kw_only=True)
class Listing:
    """An operation that returns a list, and its scope.

    Attributes:
        kind: the kind of the listed records.
        list: calls the operation on its scope, with a filter.
        scope: the fields of a record in the scope.
        others: the fields of a record outside of the scope; None if there can be none.
        time: the field that it orders by.
        wrong: field names and values that a filter on this kind must refuse.
        count: counts the records of the scope, if there is an operation for that.
    """

    name: str
    kind: kinds.Kind
    list: List
    scope: dict[str, Any] = attrs.field(factory=dict)
    others: dict[str, Any] | None = None
    time: str = "created_at"
    wrong: tuple[tuple[str, Any], ...] = ()
    count: List | None = None

    @property
    def calls(self) -> tuple[List, ...]:
        """The operations that take the filter: the list and, if there is one, the count."""
        return (self.list,) if self.count is None else (self.list, self.count)

    def make(self, **fields: Any) -> Any:
        """Make a record in the scope."""
        return self.kind.make(**self.scope, **fields)

    def foreign(self, **fields: Any) -> Any:
        """Make a record outside of the scope, or return None if there can be none."""
        return None if self.others is None else self.kind.make(**self.others, **fields)

    async def store(self, storage: StorageOperations, record: Any) -> None:
        """Store a record."""
        await self.kind.store(storage, record)


async def prepare_scopes(storage: StorageOperations) -> None:
    """Store the records that the scopes refer to."""
    for session_id in (HOME, OTHER):
        await samples.stored_session(storage, id=session_id)
    for execution_id in ("home execution", "other execution"):
        session_id = f"{execution_id.partition(' ')[0]} session"
        await samples.stored_execution(storage, session_id, "scopes", id=execution_id)
    for pool_id in (HOME_POOL, "other pool"):
        await samples.stored_pool(storage, id=pool_id)


def _filter_call(name: str, *scope: str | None) -> List:
    def call(storage: StorageOperations, filter: QueryFilter | None) -> Awaitable[Any]:
        called: Awaitable[Any] = getattr(storage, name)(*scope, filter)
        return called

    return call


def _each(name: str, *values: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for value in values)


_INVALID_PATHS: tuple[tuple[str, Any], ...] = (
    *_each("metadata.k", [], {}, b"x", samples.EPOCH, float("nan"), Gt(None), Lt(True)),
    ("metadata.k", In([["x"]])),
    ("metadata.k", Contains(1)),  # type: ignore[arg-type]  # on purpose
)
_INVALID_EXECUTIONS: tuple[tuple[str, Any], ...] = (
    *_each("success", 1, 0, "true", Gt(False), Contains("t"), In([1])),
    *(("usage", 1), ("tool_calls", None), ("usage.total_tokens", 1)),
)
_INVALID_CALLS: tuple[tuple[str, Any], ...] = (
    *_each("duration_ms", "1", True, float("nan"), [], Contains("1"), In(["1"])),
    *(("result", "x"), ("args.k", [])),
)
_INVALID_POOLS: tuple[tuple[str, Any], ...] = (
    *_each("total_budget", "ten", "NaN", True, [], Contains("1"), Lt(None), In(["x"])),
    *_each("status", "unknown", 1, Ne("unknown"), In(["active", "unknown"])),
    ("remaining_budget", 1),
)
_INVALID_REQUESTS: tuple[tuple[str, Any], ...] = (
    *_each("status", "unknown", "PENDING", 1, In(["pending", 1])),
    *(("type", "unknown"), ("expires_at", "soon"), ("resolved_by", 1), ("context.k", [])),
)
_SESSION = {"session_id": HOME}
_OF_OTHER = {"session_id": OTHER}

LISTINGS = (
    Listing(
        name="list_workflows",
        kind=kinds.WORKFLOW,
        list=_filter_call("list_workflows"),
        count=_filter_call("count_workflows"),
        wrong=(*_INVALID_PATHS, ("name", 1), ("status", "running")),
    ),
    Listing(
        name="list_sessions",
        kind=kinds.SESSION,
        list=_filter_call("list_sessions"),
        count=_filter_call("count_sessions"),
        wrong=(*_INVALID_PATHS, ("status", "unknown"), ("workflow_id", 1), ("name", "x")),
    ),
    Listing(
        name="get_llm_executions",
        kind=kinds.LLM_EXECUTION,
        list=_filter_call("get_llm_executions", HOME),
        scope=_SESSION,
        others=_OF_OTHER,
        time="timestamp",
        wrong=(*_INVALID_PATHS, *_INVALID_EXECUTIONS),
    ),
    Listing(
        name="list_llm_executions",
        kind=kinds.LLM_EXECUTION,
        list=_filter_call("list_llm_executions"),
        count=_filter_call("count_llm_executions"),
        scope=_SESSION,
        time="timestamp",
        wrong=(*_INVALID_PATHS, *_INVALID_EXECUTIONS),
    ),
    Listing(
        name="get_node_llm_executions",
        kind=kinds.LLM_EXECUTION,
        list=_filter_call("get_node_llm_executions", HOME, "draft"),
        scope={**_SESSION, "node_id": "draft"},
        others={**_SESSION, "node_id": "review"},
        time="timestamp",
        wrong=(*_INVALID_PATHS, *_INVALID_EXECUTIONS),
    ),
    Listing(
        name="get_tool_calls",
        kind=kinds.TOOL_CALL,
        list=_filter_call("get_tool_calls", "home execution"),
        scope={"execution_id": "home execution"},
        others={"execution_id": "other execution"},
        time="timestamp",
        wrong=_INVALID_CALLS,
    ),
    Listing(
        name="get_session_tool_calls",
        kind=kinds.TOOL_CALL,
        list=_filter_call("get_session_tool_calls", HOME),
        scope={"execution_id": "home execution"},
        others={"execution_id": "other execution"},
        time="timestamp",
        wrong=(*_INVALID_CALLS, ("session", HOME)),
    ),
    Listing(
        name="list_tool_calls",
        kind=kinds.TOOL_CALL,
        list=_filter_call("list_tool_calls"),
        scope={"execution_id": "home execution"},
        time="timestamp",
        wrong=_INVALID_CALLS,
    ),
    Listing(
        name="list_budget_pools",
        kind=kinds.BUDGET_POOL,
        list=_filter_call("list_budget_pools"),
        wrong=(*_INVALID_PATHS, *_INVALID_POOLS),
    ),
    Listing(
        name="get_child_budget_pools",
        kind=kinds.BUDGET_POOL,
        list=_filter_call("get_child_budget_pools", HOME_POOL),
        scope={"parent_pool_id": HOME_POOL},
        others={"parent_pool_id": "other pool"},
        wrong=(*_INVALID_PATHS, *_INVALID_POOLS),
    ),
    Listing(
        name="list_approval_requests",
        kind=kinds.APPROVAL_REQUEST,
        list=_filter_call("list_approval_requests", HOME),
        scope=_SESSION,
        others=_OF_OTHER,
        wrong=_INVALID_REQUESTS,
    ),
    Listing(
        name="list_approval_requests of all sessions",
        kind=kinds.APPROVAL_REQUEST,
        list=_filter_call("list_approval_requests", None),
        count=_filter_call("count_approval_requests"),
        scope=_SESSION,
        wrong=_INVALID_REQUESTS,
    ),
    Listing(
        name="list_pending_approvals",
        kind=kinds.APPROVAL_REQUEST,
        list=_filter_call("list_pending_approvals"),
        scope=_SESSION,
        others={**_SESSION, "status": "approved"},
        wrong=_INVALID_REQUESTS,
    ),
    Listing(
        name="get_stream_events",
        kind=kinds.STREAM_EVENT,
        list=_filter_call("get_stream_events", HOME_STREAM),
        scope={"stream_id": HOME_STREAM},
        others={"stream_id": "other stream"},
        time="timestamp",
        wrong=(("data", 1), ("data.k", []), ("stream_id", 1)),
    ),
)
"""The operations that return a list."""

every_listing = pytest.mark.parametrize(
    "listing",
    [
        pytest.param(
            listing, id=listing.name, marks=requires(Capability.STREAM_EVENTS) if listing.kind.capability else ()
        )
        for listing in LISTINGS
    ],
)
"""Run a test once for each of `LISTINGS`, as its argument `listing`."""
