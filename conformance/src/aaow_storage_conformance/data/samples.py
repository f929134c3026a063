"""Builders of realistic, distinct records in which no field has its default."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs

from aaow_storage import (
    JSON,
    ApprovalRequest,
    ApprovalType,
    BudgetPool,
    BudgetPoolStatus,
    JSONObject,
    LLMExecution,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    NodeExecutionStatus,
    Session,
    SessionStatus,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
)
from aaow_storage_conformance.data.versions import without_later

EPOCH = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
_numbers = itertools.count(1)


def a_workflow(**fields: Any) -> StoredWorkflow:
    """Make a workflow of two nodes."""
    number = next(_numbers)
    defaults = {
        "id": f"workflow-{number:06}",
        "name": f"Triage of incoming reports {number} — «prüfen»",
        "version": f"2.{number}.0-rc.1",
        "definition": a_definition(number),
        "created_at": instant(number),
        "updated_at": instant(number + 10),
        "metadata": a_document(number),
    }
    return StoredWorkflow(**{**defaults, **fields})


def a_session(**fields: Any) -> Session:
    """Make a session without a workflow and a parent, because both would have to be stored first."""
    number = next(_numbers)
    defaults = {
        "id": f"session-{number:06}",
        "workflow_id": None,
        "workflow_snapshot": a_definition(number),
        "status": SessionStatus.PAUSED,
        "parent_session_id": None,
        "created_at": instant(number),
        "updated_at": instant(number + 10),
        "metadata": a_document(number),
    }
    return Session(**{**defaults, **fields})


def a_node_state(node_id: str = "draft", **fields: Any) -> NodeExecutionState:
    """Make the state of a node that failed after retries."""
    number = next(_numbers)
    defaults = {
        "status": NodeExecutionStatus.FAILED,
        "input": {"prompt": f"Summarise report {number}", "temperature": 0.0},
        "output": [f"partial {number}", {"tokens": number}],
        "error": f"TimeoutError: no answer within {number} s",
        "started_at": instant(number),
        "completed_at": instant(number + 1),
        "retry_count": number,
        "pending_approval_id": f"approval-of-node-{number}",
        "metadata": a_document(number),
        "attempts": (an_attempt(), an_attempt(status=NodeExecutionStatus.CANCELLED, output=None)),
    }
    return NodeExecutionState(node_id=node_id, **{**without_later(NodeExecutionState, defaults), **fields})


def an_attempt(**fields: Any) -> NodeAttempt:
    """Make an attempt at a node that failed."""
    number = next(_numbers)
    defaults = {
        "status": NodeExecutionStatus.FAILED,
        "started_at": instant(number),
        "completed_at": instant(number + 1),
        "error": f"TimeoutError: no answer within {number} s",
        "output": {"partial": [number, 0.5]},
    }
    return NodeAttempt(**{**defaults, **fields})


def a_state(session_id: str, **fields: Any) -> WorkflowExecutionState:
    """Make the state of a session with three nodes."""
    number = next(_numbers)
    defaults = {
        "status": SessionStatus.PAUSED,  # as that of a session: the two are one
        "budget_pool_id": f"pool-of-state-{number}",
        "current_node_id": "review",
        "started_at": instant(number),
        "completed_at": instant(number + 1),
        "node_states": {node_id: a_node_state(node_id) for node_id in ("draft", "review", "a/b c%_'\"é")},
        "metadata": a_document(number),
    }
    return WorkflowExecutionState(session_id=session_id, **{**defaults, **fields})


def a_call(**fields: Any) -> ToolCall:
    """Make a tool call as a model reports it."""
    number = next(_numbers)
    defaults = {
        "tool_call_id": f"call-{number}",
        "tool_name": "web.search",
        "args": {"query": f"aurora {number}", "limit": number},
        "result": [{"title": f"Aurora {number}", "score": 0.5}],
        "error": f"{number} results were cut",
    }
    return ToolCall(**{**defaults, **fields})


def a_result(**fields: Any) -> LLMExecutionResult:
    """Make the result of a finished model call, for `save_llm_execution`."""
    number = next(_numbers)
    defaults = {
        "id": f"execution-{number:06}",
        "timestamp": instant(number),
        "success": False,
        "text": f"The answer is {number}.\n— with a second line",
        "tool_calls": (a_call(), a_call(result=None, error=None)),
        "usage": a_usage(number),
        "error": f"finish_reason: length ({number})",
        "metadata": a_document(number),
        "provider": "anthropic",
        "model": f"a-model-{number}",
        "input": [{"role": "user", "content": f"What is {number}?"}, {"role": "assistant", "content": [number, None]}],
        "output": {"answer": number, "confidence": 0.5},
        "completed_at": instant(number + 1),
        "finish_reason": "length",
        "cost": Decimal("0.0125") + number,
        "currency": "USD",
        "attempt": number,
    }
    return LLMExecutionResult(**{**without_later(LLMExecutionResult, defaults), **fields})


def a_usage(number: int) -> TokenUsage:
    """Make the token usage of a model call, with distinct figures."""
    defaults = {
        "prompt_tokens": 100 + number,
        "completion_tokens": number,
        "total_tokens": 100 + 2 * number,
        "cache_read_tokens": 50 + number,
        "cache_write_tokens": 25,
        "reasoning_tokens": number // 2,
    }
    return TokenUsage(**without_later(TokenUsage, defaults))


def an_execution(session_id: str, node_id: str, result: LLMExecutionResult) -> LLMExecution:
    """Make the record that getters return for a saved result."""
    fields = {field.name: getattr(result, field.name) for field in attrs.fields(LLMExecutionResult)}
    return LLMExecution(session_id=session_id, node_id=node_id, **fields)


def a_tool_call(execution_id: str | None, **fields: Any) -> ToolCallLog:
    """Make a logged tool call."""
    number = next(_numbers)
    defaults = {
        "id": f"log-{number:06}",
        "tool_call_id": f"call-{number}",
        "tool_name": "files.read",
        "args": {"path": f"reports/{number} (final).txt", "lines": [1, number]},
        "result": {"text": f"line {number}"},
        "error": f"PermissionError: {number}",
        "timestamp": instant(number),
        "duration_ms": number + 0.1,
    }
    return ToolCallLog(execution_id=execution_id, **{**without_later(ToolCallLog, defaults), **fields})


def a_pool(**fields: Any) -> BudgetPool:
    """Make a pool without a parent, because the parent would have to be stored first."""
    number = next(_numbers)
    defaults = {
        "id": f"pool-{number:06}",
        "parent_pool_id": None,
        "total_budget": Decimal("1000.25") + number,
        "used_budget": Decimal("0.125"),
        "status": BudgetPoolStatus.ACTIVE,
        "created_at": instant(number),
        "metadata": a_document(number),
    }
    return BudgetPool(**{**defaults, **fields})


def a_request(session_id: str, **fields: Any) -> ApprovalRequest:
    """Make a pending request that expires in the far future."""
    number = next(_numbers)
    defaults = {
        "id": f"approval-{number:06}",
        "node_id": "review",
        "type": ApprovalType.BUDGET_INCREASE,
        "context": {"question": f"Spend {number} more?", "amount": f"{number}.50"},
        "created_at": instant(number),
        "expires_at": datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    }
    return ApprovalRequest(session_id=session_id, **{**defaults, **fields})


def an_event(stream_id: str = "stream-1", **fields: Any) -> StreamEvent:
    """Make an event of a stream."""
    number = next(_numbers)
    defaults = {
        "id": f"event-{number:06}",
        "node_id": "draft",
        "data": {"delta": f"token {number}", "index": number},
        "timestamp": instant(number),
    }
    return StreamEvent(stream_id=stream_id, **{**without_later(StreamEvent, defaults), **fields})


def instant(number: int) -> datetime:
    """Return the instant of that number, distinct from all others by microseconds too."""
    return EPOCH + timedelta(seconds=number, microseconds=number)


def a_definition(number: int) -> JSONObject:
    """Make a workflow definition with unsorted keys."""
    return {
        "nodes": [
            {"id": "draft", "type": "llm", "timeout": 30.0, "retries": 0},
            {"id": "review", "type": "human", "optional": False, "note": None},
        ],
        "edges": [["draft", "review"]],
        "entry": "draft",
        "revision": number,
    }


def a_document(number: int) -> JSONObject:
    """Make metadata with unsorted keys."""
    values: list[JSON] = [0, False, "", [], {}, None, 1, 1.0, -0.0]
    return {"user": f"ann-{number}", "nested": {"b": number, "a.b": values}, "10": 1, "9": 2}


async def stored_workflow(storage: StorageOperations, **fields: Any) -> StoredWorkflow:
    """Make a workflow, and save it."""
    workflow = a_workflow(**fields)
    await storage.save_workflow(workflow)
    return workflow


async def stored_session(storage: StorageOperations, **fields: Any) -> Session:
    """Make a session, and create it."""
    session = a_session(**fields)
    await storage.create_session(session)
    return session


async def stored_execution(
    storage: StorageOperations, session_id: str, node_id: str = "draft", **fields: Any
) -> LLMExecution:
    """Make a model call, and save it."""
    result = a_result(**fields)
    await storage.save_llm_execution(session_id, node_id, result)
    return an_execution(session_id, node_id, result)


async def stored_tool_call(storage: StorageOperations, execution_id: str, **fields: Any) -> ToolCallLog:
    """Make a tool call, and log it."""
    log = a_tool_call(execution_id, **fields)
    await storage.log_tool_call(log)
    return log


async def stored_pool(storage: StorageOperations, **fields: Any) -> BudgetPool:
    """Make a pool, and create it."""
    pool = a_pool(**fields)
    await storage.create_budget_pool(pool)
    return pool


async def stored_request(storage: StorageOperations, session_id: str, **fields: Any) -> ApprovalRequest:
    """Make a request, and create it."""
    request = a_request(session_id, **fields)
    await storage.create_approval_request(request)
    return request
