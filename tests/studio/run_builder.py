"""`Run`: a run of a workflow that is put together record by record, and then stored in one transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from aaow_storage import (
    ApprovalRequest,
    LLMExecutionResult,
    NodeAttempt,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCallLog,
    WorkflowExecutionState,
)

PRICES = {"atlas-large": (3.0, 15.0), "atlas-small": (0.15, 0.6), "orbit-2": (1.25, 10.0)}
"""Of a million tokens in and out."""
PROVIDERS = {"atlas-large": "acme", "atlas-small": "acme", "orbit-2": "orbital"}


def usage_of(model: str, prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """Return the usage, the cost and the names of a model call."""
    per_prompt, per_completion = PRICES[model]
    cost = round((prompt * per_prompt + completion * per_completion) / 1e6, 6)
    return {
        "usage": TokenUsage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            cache_read_tokens=cached,
            reasoning_tokens=reasoning,
        ),
        "cost": f"{cost:f}",
        "currency": "USD",
        "model": model,
        "provider": PROVIDERS[model],
    }


class Run:
    """A run that is put together, and then stored. Times are in seconds after it began."""

    def __init__(self, id: str, begins_at: datetime, workflow: StoredWorkflow, **session: Any) -> None:
        self.id = id
        self.begins_at = begins_at
        self.workflow = workflow
        self.session = {"status": "completed", "metadata": {"user": "ada", "environment": "production"}, **session}
        self.nodes: dict[str, NodeExecutionState] = {}
        self.calls: list[tuple[str, LLMExecutionResult]] = []
        self.tools: list[ToolCallLog] = []
        self.approvals: list[ApprovalRequest] = []
        self.events: list[StreamEvent] = []
        self._numbers = count(1)

    def at(self, seconds: float) -> datetime:
        """Return an instant of the run."""
        return self.begins_at + timedelta(seconds=seconds)

    def node(self, id: str, start: float | None = None, end: float | None = None, **state: Any) -> None:
        """Add the state of a node; without a status, it runs until it has an end."""
        usual = "pending" if start is None else "running" if end is None else "completed"
        self.nodes[id] = NodeExecutionState(
            node_id=id,
            started_at=None if start is None else self.at(start),
            completed_at=None if end is None else self.at(end),
            **{"status": usual, **state},
        )

    def attempt(self, start: float, end: float, error: str | None = None, **attempt: Any) -> NodeAttempt:
        """Return an attempt of a node that ended before the last."""
        given = {"status": "completed" if error is None else "failed", **attempt}
        return NodeAttempt(started_at=self.at(start), completed_at=self.at(end), error=error, **given)

    def call(self, node: str, start: float, end: float | None, **result: Any) -> str:
        """Add a model call of a node; it runs if it has no end. Return its id."""
        call_id = f"{self.id}/call-{next(self._numbers)}"
        given = {"success": None if end is None else result.get("error") is None, **result}
        completed_at = None if end is None else self.at(end)
        self.calls.append(
            (node, LLMExecutionResult(id=call_id, timestamp=self.at(start), completed_at=completed_at, **given))
        )
        return call_id

    def tool(self, name: str, start: float, seconds: float | None, call: str | None = None, **log: Any) -> str:
        """Add a tool call of a model call, or of a node. Return its id."""
        tool_id = f"{self.id}/tool-{next(self._numbers)}"
        duration_ms = None if seconds is None else seconds * 1000
        given = {"args": {}, "tool_call_id": f"tc-{len(self.tools)}", **log}
        if call is None:
            given = {"session_id": self.id, **given}
        self.tools.append(
            ToolCallLog(
                id=tool_id,
                tool_name=name,
                timestamp=self.at(start),
                duration_ms=duration_ms,
                execution_id=call,
                **given,
            )
        )
        return tool_id

    def approval(self, node: str, start: float, question: str, **request: Any) -> str:
        """Add a request for approval. Return its id."""
        approval_id = f"{self.id}/approval-{next(self._numbers)}"
        given = {"type": "human_review", "context": {"question": question}, **request}
        self.approvals.append(
            ApprovalRequest(id=approval_id, session_id=self.id, node_id=node, created_at=self.at(start), **given)
        )
        return approval_id

    def stream(self, node: str, name: str, words: Sequence[str], start: float, every: float = 0.05) -> None:
        """Add events to a stream of the run."""
        self.events += [
            StreamEvent(
                id=f"{self.id}/{name}/{place}",
                stream_id=f"{self.id}/{name}",
                session_id=self.id,
                node_id=node,
                data={"text": word},
                timestamp=self.at(start + place * every),
            )
            for place, word in enumerate(words)
        ]

    async def store(self, storage: StorageAdapter, *, end: float | None = None, state: bool = True) -> str:
        """Store all of it in one transaction; the run ended so many seconds after it began. Return the session's id."""
        async with storage.transaction() as transaction:
            await transaction.save_workflow(self.workflow)
            await transaction.create_session(
                Session(
                    id=self.id,
                    workflow_id=self.workflow.id,
                    workflow_snapshot=self.workflow.definition,
                    created_at=self.begins_at,
                    updated_at=self.at(end or 0),
                    **self.session,
                )
            )
            if state:
                await transaction.save_execution_state(
                    WorkflowExecutionState(
                        session_id=self.id,
                        status=self.session["status"],
                        budget_pool_id=self.workflow.id,
                        started_at=self.begins_at,
                        completed_at=None if end is None else self.at(end),
                        node_states=self.nodes,
                    )
                )
            for node, result in self.calls:
                await transaction.save_llm_execution(self.id, node, result)
            for log in self.tools:
                await transaction.log_tool_call(log)
            for request in self.approvals:
                await transaction.create_approval_request(request)
            if self.events:
                await transaction.save_stream_events(self.events)
        return self.id


def workflow(
    id: str, name: str, nodes: dict[str, str], edges: Sequence[tuple[str, str]], **other: Any
) -> StoredWorkflow:
    """Return a workflow of nodes, with the kind of each, and edges."""
    definition = {
        "nodes": [{"id": node, "type": kind} for node, kind in nodes.items()],
        "edges": [{"source": source, "target": target} for source, target in edges],
        **other,
    }
    return StoredWorkflow(id=id, name=name, version="4", definition=definition)
