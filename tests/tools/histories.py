"""Random histories that an application could have: what it stores is never wrong."""

import random
from datetime import UTC, datetime, timedelta

from aaow_storage import (
    ApprovalRequest,
    BudgetExceededError,
    BudgetPool,
    ConflictError,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    TokenUsage,
    ToolCallLog,
    WorkflowExecutionState,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = ("completed", "failed", "cancelled")


class History:
    """An application that runs workflows, by a seed; its clock goes forward."""

    def __init__(self, storage: StorageAdapter, seed: int) -> None:
        self.storage = storage
        self.chance = random.Random(seed)
        self.seed = seed
        self.now = START
        self.workflows: list[StoredWorkflow] = []
        self.pools: list[str] = []
        self.sessions: list[str] = []
        self.count = 0

    def tick(self) -> datetime:
        self.now += timedelta(seconds=self.chance.randint(1, 3600))
        return self.now

    def new_id(self, kind: str) -> str:
        self.count += 1
        return f"{kind} {self.seed}-{self.count}"

    async def live(self, steps: int) -> None:
        """Do so many random things."""
        await self.save_workflow()
        await self.make_pool()
        things = [self.save_workflow, self.make_pool, self.run_session, self.consume, self.delete, self.edit]
        for step in self.chance.choices(things, [1, 1, 6, 4, 1, 1], k=steps):
            await step()

    async def save_workflow(self) -> None:
        at = self.tick()
        workflow = StoredWorkflow(
            id=self.new_id("workflow"),
            name="any",
            version="1",
            definition={"nodes": [{"id": str(number)} for number in range(self.chance.randint(1, 9))]},
            created_at=at,
            updated_at=at,
        )
        await self.storage.save_workflow(workflow)
        self.workflows.append(workflow)

    async def edit(self) -> None:
        workflow = self.chance.choice(self.workflows)
        await self.storage.update_workflow(workflow.id, definition={"edited": self.count}, updated_at=self.tick())

    async def make_pool(self) -> None:
        parent = self.chance.choice([None, *self.pools])
        pool = BudgetPool(id=self.new_id("pool"), parent_pool_id=parent, total_budget=self.chance.randint(1, 100))
        await self.storage.create_budget_pool(pool)
        self.pools.append(pool.id)

    async def consume(self) -> None:
        pool = self.chance.choice(self.pools)
        try:
            await self.storage.consume_budget(pool, self.chance.randint(1, 20))
        except BudgetExceededError:
            await self.storage.increase_budget(pool, 5)

    async def delete(self) -> None:
        if len(self.sessions) > 2:
            await self.storage.delete_session(self.sessions.pop(self.chance.randrange(len(self.sessions))))
        if len(self.workflows) > 3:
            workflow = self.workflows.pop(self.chance.randrange(len(self.workflows)))
            await self.storage.delete_workflow(workflow.id)

    async def run_session(self) -> None:
        begun = self.tick()
        workflow = self.chance.choice(self.workflows)
        session = Session(
            id=self.new_id("session"),
            workflow_id=workflow.id,
            workflow_snapshot=workflow.definition,
            status="running",
            parent_session_id=self.chance.choice([None, None, *self.sessions]),
            created_at=begun,
            updated_at=begun,
            metadata={"user": self.chance.choice(["ada", "grace"])},
        )
        await self.storage.create_session(session)
        self.sessions.append(session.id)
        state = WorkflowExecutionState(
            session_id=session.id, status="running", started_at=begun, budget_pool_id=self.chance.choice(self.pools)
        )
        await self.storage.save_execution_state(state)
        for number in range(self.chance.randint(1, 3)):
            await self.run_node(session.id, str(number))
        if self.chance.random() < 0.8:
            status = self.chance.choice(ENDS)
            await self.storage.update_session(session.id, status=status, updated_at=self.tick())

    async def run_node(self, session_id: str, node_id: str) -> None:
        node = NodeExecutionState(node_id=node_id, status="running", started_at=self.tick())
        if self.chance.random() < 0.3:
            node = node.retried(self.tick())
        await self.storage.update_node_state(session_id, node_id, node)
        messages = []
        for _ in range(self.chance.randint(0, 3)):
            messages.append({"role": "user", "content": "said " * self.chance.randint(1, 900)})
            begun = self.tick()
            execution = LLMExecutionResult(
                id=self.new_id("execution"),
                timestamp=begun,
                success=True,
                completed_at=self.tick(),
                input=list(messages),
                output={"answer": 42},
                usage=TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
            )
            await self.storage.save_llm_execution(session_id, node_id, execution)
            call = ToolCallLog(
                id=self.new_id("call"),
                tool_call_id="c",
                tool_name="search",
                args={"q": "x"},
                execution_id=execution.id,
                timestamp=self.tick(),
            )
            await self.storage.log_tool_call(call)
        event = StreamEvent(
            id=self.new_id("event"), stream_id=f"{session_id}/answer", node_id=node_id, data="x", session_id=session_id
        )
        await self.storage.save_stream_event(event)
        if self.chance.random() < 0.3:
            await self.ask(session_id, node_id)
        done = {"status": self.chance.choice(("completed", "failed", "skipped")), "completed_at": self.tick()}
        await self.storage.update_node_state(
            session_id, node_id, NodeExecutionState(node_id=node_id, started_at=node.started_at, **done)
        )

    async def ask(self, session_id: str, node_id: str) -> None:
        request = ApprovalRequest(
            id=self.new_id("request"),
            session_id=session_id,
            node_id=node_id,
            type="human_review",
            created_at=self.tick(),
        )
        await self.storage.create_approval_request(request)
        try:
            await self.chance.choice((self.storage.approve_request, self.storage.reject_request))(request.id, "ada")
        except ConflictError:
            raise AssertionError("nobody else decides") from None
