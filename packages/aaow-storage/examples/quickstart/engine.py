"""A small workflow engine: it runs one session from the first step to the last, and stores everything that happens.

It uses `StorageAdapter` alone, so it works with any backend. Models, tools and people are simulated; every record,
error and transaction is real.
"""

import asyncio
from datetime import timedelta
from decimal import Decimal
from time import perf_counter

from attrs import asdict, evolve

from aaow_storage import (
    JSON,
    ApprovalRequest,
    ApprovalType,
    BudgetExceededError,
    BudgetPool,
    Capability,
    LLMExecutionResult,
    NodeExecutionState,
    NodeExecutionStatus,
    QueryFilter,
    Session,
    SessionStatus,
    StorageAdapter,
    StorageOperations,
    StoredWorkflow,
    StreamEvent,
    ToolCall,
    ToolCallLog,
    WorkflowExecutionState,
    now,
)
from budget import Budget, create_budget, increase_for, name_of
from definition import Node, NodeKind, nodes_of
from model import CURRENCY, PROVIDER, ModelOverloadedError, messages_for, model_for, stream, use_tool
from people import BUDGET_OWNERS, grant_increase, review

PATIENCE_S = 60.0
"""How long the engine waits for a decision. People may take days: then let a worker take up the session afterwards."""

_MAX_SHOWN = 120


def stream_of(session_id: str, node_id: str) -> str:
    """Return the id of the stream that a node of a session emits."""
    return f"{session_id}/{node_id}"


def journal_of(session_id: str) -> str:
    """Return the id of the stream in which the engine notes retries, budget problems and the like."""
    return f"{session_id}:journal"


async def run_workflow(storage: StorageAdapter, workflow: StoredWorkflow) -> str:
    """Store the workflow and run one session of it; return the session's id."""
    session = Session(workflow_id=workflow.id, workflow_snapshot=workflow.definition)
    async with storage.transaction() as tx:
        await store_workflow(tx, workflow)
        await tx.create_session(session)
        budget = await create_budget(tx, workflow, session.id)
    engine = Engine(storage, workflow, session.id, budget)
    await engine.run()
    return session.id


async def store_workflow(tx: StorageOperations, workflow: StoredWorkflow) -> None:
    """Store the workflow, or replace its definition; earlier sessions keep the snapshot that they ran."""
    if await tx.get_workflow(workflow.id) is None:
        await tx.save_workflow(workflow)
    else:
        await tx.update_workflow(
            workflow.id,
            name=workflow.name,
            version=workflow.version,
            definition=workflow.definition,
            metadata=workflow.metadata,
        )


class Engine:
    """Runs one session."""

    def __init__(self, storage: StorageAdapter, workflow: StoredWorkflow, session_id: str, budget: Budget) -> None:
        self._storage = storage
        self._workflow = workflow
        self._nodes = nodes_of(workflow.definition)
        self._session_id = session_id
        self._budget = budget
        self._execution = WorkflowExecutionState(
            session_id=session_id,
            status=SessionStatus.RUNNING,
            budget_pool_id=budget.session_pool_id,
            started_at=now(),
        )

    async def run(self) -> None:
        """Run the steps in order, then complete the session and request a later review of its result."""
        waiting = {node.id: NodeExecutionState(node_id=node.id) for node in self._nodes}
        await self._storage.save_execution_state(evolve(self._execution, node_states=waiting))
        output: JSON = self._workflow.definition.get("input")
        for node in self._nodes:
            output = await self._run_node(node, output)
        await self._complete(output)
        await self._ask_for_second_look()

    async def _run_node(self, node: Node, input: JSON) -> JSON:
        state = NodeExecutionState(node_id=node.id, status=NodeExecutionStatus.RUNNING, input=input, started_at=now())
        self._execution = evolve(self._execution, current_node_id=node.id)
        await self._storage.save_execution_state(evolve(self._execution, node_states={node.id: state}))
        match node.kind:
            case NodeKind.LLM | NodeKind.TOOL:
                state = await self._ask_model(node, state)
            case NodeKind.REVIEW:
                state = await self._ask_for_review(node, state)
            case NodeKind.STREAM:
                state = await self._emit(node, state)
            case NodeKind.TRANSFORM:
                state = evolve(state, output={"made_by": node.name, "made_from": _shortened(input)})
        state = evolve(state, status=NodeExecutionStatus.COMPLETED, error=None, completed_at=now())
        await self._storage.update_node_state(self._session_id, node.id, state)
        return state.output

    async def _ask_model(self, node: Node, state: NodeExecutionState) -> NodeExecutionState:
        """Call the model of a step, again if the provider is overloaded, until it answers."""
        while True:
            try:
                return await self._call_model(node, state)
            except ModelOverloadedError as error:
                await self._note(node, f"{node.name}: the model refused the call ({error}); trying again")
                state = evolve(state, error=str(error), status=NodeExecutionStatus.FAILED).retried(now())
                await self._storage.update_node_state(self._session_id, node.id, state)

    async def _call_model(self, node: Node, state: NodeExecutionState) -> NodeExecutionState:
        """Call the model once, run its tools, and pay; the call is stored while it runs, and again at its end."""
        model = model_for(node)
        running = LLMExecutionResult(
            provider=PROVIDER, model=model.name, input=messages_for(node), attempt=state.retry_count
        )
        await self._storage.save_llm_execution(self._session_id, node.id, running)
        try:
            answer = model.ask(node, attempt=state.retry_count + 1)
        except ModelOverloadedError as error:
            failed = evolve(running, success=False, error=str(error), completed_at=now())
            await self._storage.save_llm_execution(self._session_id, node.id, failed)
            raise
        tool_calls = [await self._call_tool(node, running, number) for number in range(len(node.tools))]
        cost = model.cost(answer.usage)
        done = evolve(
            running,
            success=True,
            text=answer.text,
            tool_calls=tuple(tool_calls),
            usage=answer.usage,
            finish_reason=answer.finish_reason,
            completed_at=now(),
            cost=cost,
            currency=CURRENCY,
        )
        await self._storage.save_llm_execution(self._session_id, node.id, done)
        await self._pay(node, state, cost)
        return evolve(state, output={"text": answer.text})

    async def _call_tool(self, node: Node, execution: LLMExecutionResult, number: int) -> ToolCall:
        """Call a tool for a model, and log the call while the model call is still running."""
        tool_name = node.tools[number]
        args = {"question": number + 1, "query": node.prompt[:80]}
        started = perf_counter()
        result = use_tool(node, tool_name, args)
        duration_ms = (perf_counter() - started) * 1000
        call = ToolCall(tool_call_id=f"call_{number + 1}", tool_name=tool_name, args=args, result=result)
        log = ToolCallLog(execution_id=execution.id, duration_ms=duration_ms, **asdict(call))
        await self._storage.log_tool_call(log)
        return call

    async def _pay(self, node: Node, state: NodeExecutionState, cost: Decimal) -> None:
        """Take the cost from the step's pool; if that has too little, use it up, and ask a person to increase it."""
        try:
            await self._storage.consume_budget(self._budget.pool_id(node), cost)
        except BudgetExceededError as error:
            left = max(error.pool.remaining_budget, Decimal(0))
            problem = f"the pool {name_of(error.pool)!r} has {left} USD left, {cost} is due"
            await self._note(node, f"{node.name}: BudgetExceededError says that {problem}")
            if left:
                await self._pay(node, state, left)
            await self._ask_for_increase(node, state, error.pool, cost - left)
            await self._pay(node, state, cost - left)

    async def _ask_for_increase(
        self, node: Node, state: NodeExecutionState, pool: BudgetPool, missing: Decimal
    ) -> None:
        """Request an increase of the pool, and wait for it, while two people answer at once."""
        name = name_of(pool)
        amount = increase_for(pool, missing)
        await self._note(node, f"Pool {name!r} is {await self._status_of(pool)}; asking for {amount} USD more")
        request = ApprovalRequest(
            session_id=self._session_id,
            node_id=node.id,
            type=ApprovalType.BUDGET_INCREASE,
            context={"pool_id": pool.id, "pool": name, "amount": str(amount)},
            expires_at=now() + timedelta(hours=8),
        )
        await self._wait_for(request, state, SessionStatus.WAITING_FOR_BUDGET_APPROVAL)
        people = [grant_increase(self._storage, request, who) for who in BUDGET_OWNERS]
        _, *answers = await asyncio.gather(self._decision_on(request), *people)
        for answer in answers:
            await self._note(node, f"Pool {name!r}: {answer}")
        await self._go_on(state)

    async def _ask_for_review(self, node: Node, state: NodeExecutionState) -> NodeExecutionState:
        request = ApprovalRequest(
            session_id=self._session_id,
            node_id=node.id,
            type=ApprovalType.HUMAN_REVIEW,
            context={"question": f"{node.name}: may this pass?", "material": state.input},
            expires_at=now() + timedelta(days=2),
        )
        await self._wait_for(request, state, SessionStatus.WAITING_FOR_HUMAN_REVIEW)
        decision, _ = await asyncio.gather(self._decision_on(request), review(self._storage, request))
        await self._go_on(state)
        return evolve(state, output={"decision": str(decision.status), "notes": decision.resolution_notes})

    async def _wait_for(self, request: ApprovalRequest, state: NodeExecutionState, status: SessionStatus) -> None:
        """Store the request and the waiting status of the session and the step, in one transaction.

        The session has the status of its execution state.
        """
        is_review = request.type is ApprovalType.HUMAN_REVIEW
        waiting = NodeExecutionStatus.WAITING_FOR_REVIEW if is_review else NodeExecutionStatus.WAITING_FOR_APPROVAL
        node_state = evolve(state, status=waiting, pending_approval_id=request.id)
        async with self._storage.transaction() as tx:
            await tx.create_approval_request(request)
            await tx.save_execution_state(
                evolve(self._execution, status=status, node_states={state.node_id: node_state})
            )

    async def _decision_on(self, request: ApprovalRequest) -> ApprovalRequest:
        """Wait until the request is decided, whoever does that, in whichever task or process."""
        return await self._storage.wait_for_approval(request.id, timeout=PATIENCE_S)

    async def _status_of(self, pool: BudgetPool) -> str:
        stored = await self._storage.get_budget_pool(pool.id)
        return str(stored.status) if stored else "deleted"

    async def _go_on(self, state: NodeExecutionState) -> None:
        """Store that the session and the step are running again."""
        await self._storage.save_execution_state(evolve(self._execution, node_states={state.node_id: state}))

    async def _emit(self, node: Node, state: NodeExecutionState) -> NodeExecutionState:
        """Emit the items of a stream step, one by one, if the backend can store them."""
        items = stream(node)
        for number, text in enumerate(items, 1):
            event = StreamEvent(
                stream_id=stream_of(self._session_id, node.id),
                session_id=self._session_id,
                node_id=node.id,
                data={"number": number, "text": text, "is_last": number == len(items)},
            )
            await self._save_event(event)
        return evolve(state, output={"items": len(items)})

    async def _complete(self, output: JSON) -> None:
        calls = await self._storage.get_llm_executions(self._session_id, QueryFilter(where={"success": True}))
        result = {"output": output, "model_calls": len(calls)}
        self._execution = evolve(
            self._execution, status=SessionStatus.COMPLETED, current_node_id=None, completed_at=now()
        )
        async with self._storage.transaction() as tx:
            await tx.save_execution_state(self._execution)
            await tx.update_session(self._session_id, metadata=result)

    async def _ask_for_second_look(self) -> None:
        """Leave a review open; any process can decide it until it expires."""
        last_review = next(node for node in reversed(self._nodes) if node.kind is NodeKind.REVIEW)
        request = ApprovalRequest(
            session_id=self._session_id,
            node_id=last_review.id,
            type=ApprovalType.HUMAN_REVIEW,
            context={"question": f"Follow-up: is the result of {self._workflow.name[:60]!r} still right a week later?"},
            expires_at=now() + timedelta(days=7),
        )
        await self._storage.create_approval_request(request)

    async def _note(self, node: Node, text: str) -> None:
        stream_id = journal_of(self._session_id)
        event = StreamEvent(stream_id=stream_id, session_id=self._session_id, node_id=node.id, data={"text": text})
        await self._save_event(event)

    async def _save_event(self, event: StreamEvent) -> None:
        """Store an event, if the backend has the capability."""
        if Capability.STREAM_EVENTS in self._storage.capabilities:
            await self._storage.save_stream_event(event)


def _shortened(value: JSON) -> str:
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
