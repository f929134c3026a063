"""Runs that look like real ones: `python tests/studio/runs.py file:./runs.db` fills a store with all of them.

Each function stores one run that began at an instant, and returns the id of its session:

- `research`: hours long, with parallel nodes, a decision that took two hours, and a child session.
- `triage_failed`: a node was retried three times and failed; those after it were skipped.
- `repair_loop`: a coding agent with a hundred model calls in one node, and a node of eleven attempts.
- `refund_waiting`: waits for two decisions, one of which expires soon.
- `answer_live`: runs now; `answer_goes_on` makes it go on, `answer_ends` ends it.
- `lookup_quick`: 180 milliseconds altogether.
- `budgets`: pools for three of the workflows, and one that is over-used.
- `empty`: a session and nothing else.
- `odd`: no nodes in the definition, calls of nodes without a state, ends before beginnings.
- `hostile`: ids and texts that a careless page would run, or break at.
- `large`: as many nodes and calls as are asked for.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from random import Random
from typing import Any

from attrs import evolve
from run_builder import Run, usage_of, workflow
from unusual_runs import empty, hostile, large, odd

from aaow_storage import (
    BudgetPool,
    LLMExecutionResult,
    NodeExecutionState,
    StorageAdapter,
    ToolCall,
    WorkflowExecutionState,
    now,
    open_adapter,
)

RESEARCH = workflow(
    "market-research",
    "Market research",
    {
        "plan": "llm",
        "search-web": "agent",
        "read-filings": "agent",
        "interview-notes": "llm",
        "review-plan": "human",
        "write-report": "llm",
        "fact-check": "workflow",
        "publish": "tool",
    },
    [
        ("plan", "review-plan"),
        ("review-plan", "search-web"),
        ("review-plan", "read-filings"),
        ("review-plan", "interview-notes"),
        ("search-web", "write-report"),
        ("read-filings", "write-report"),
        ("interview-notes", "write-report"),
        ("write-report", "fact-check"),
        ("fact-check", "publish"),
    ],
)
SYSTEM = {"role": "system", "content": "You are a careful analyst. Say what you know, and from where."}


async def research(storage: StorageAdapter, begins_at: datetime, id: str = "research-7f3a") -> str:
    """Store a run of three and a half hours, and its child."""
    random = Random(7)
    run = Run(id, begins_at, RESEARCH, metadata={"user": "ada", "topic": "heat pumps", "priority": 2})
    question = {"role": "user", "content": "How large is the market for heat pumps in Norway, and who sells them?"}
    run.node("plan", 0, 14.2, input=question, output={"steps": ["search", "filings", "interviews", "report"]})
    plan = "1. Search the web\n2. Read the filings\n3. Read the notes of interviews\n4. Write"
    run.call("plan", 0.4, 13.9, input=[SYSTEM, question], text=plan, **usage_of("atlas-large", 812, 640, reasoning=410))
    run.node("review-plan", 14.2, 7300, output={"approved": True})
    run.approval(
        "review-plan",
        14.3,
        "Is this the right plan?",
        status="approved",
        resolved_at=run.at(7299),
        resolved_by="grace",
        resolution_notes="Yes, but leave the interviews short.",
    )
    for node, start, calls, tool in (
        ("search-web", 7300.0, 9, "web_search"),
        ("read-filings", 7300.5, 6, "fetch_pdf"),
        ("interview-notes", 7301.0, 2, "read_note"),
    ):
        messages: list[Any] = [SYSTEM, {"role": "user", "content": f"Work on the step {node}."}]
        moment = start + 0.5
        for turn in range(calls):
            end = moment + random.uniform(4, 90)
            args = {"query": f"heat pumps Norway {2020 + turn}", "limit": 10}
            asked = ToolCall(tool_call_id=f"{node}-{turn}", tool_name=tool, args=args)
            is_last = turn == calls - 1
            prompt = 900 + 1400 * turn
            call = run.call(
                node,
                moment,
                end,
                input=list(messages),
                text="That is enough to write." if is_last else None,
                tool_calls=() if is_last else (asked,),
                finish_reason="stop" if is_last else "tool_calls",
                **usage_of("orbit-2", prompt, 180, cached=max(0, prompt - 1400)),
            )
            moment = end + 0.2
            if not is_last:
                seconds = random.uniform(0.3, 20)
                found = [{"title": "Heat pumps 2025", "year": 2020 + turn, "units": 90_000 + turn * 4_000}]
                run.tool(tool, moment, seconds, call, args=args, result=found, tool_call_id=asked.tool_call_id)
                messages += [
                    {"role": "assistant", "content": None, "tool_calls": [asked.to_dict()]},
                    {"role": "tool", "tool_call_id": asked.tool_call_id, "content": json.dumps(found)},
                ]
                moment += seconds + 0.1
        run.node(node, start, moment, output={"sources": calls})
    report = "# Heat pumps in Norway\n\nAbout 114 000 were sold in 2025 (filings of three sellers).\n"
    run.node("write-report", 8100, 9480, output={"text": report})
    for turn in range(3):
        start = 8100 + turn * 450
        result = usage_of("atlas-large", 24_000 + turn * 900, 3100, cached=18_000 * bool(turn), reasoning=1200)
        run.call("write-report", start + 1, start + 430, input=[SYSTEM, question], text=report, **result)
    run.stream("write-report", "report", [f"{word} " for word in report.split(" ")], 8500)
    run.node("fact-check", 9480, 12_300, output={"wrong": 0})
    run.node("publish", 12_300, 12_304.5, output={"url": "https://example.org/reports/7f3a"})
    run.tool("upload", 12_300.2, 4.1, node_id="publish", args={"file": "report.pdf"}, result={"size": 184_320})
    await run.store(storage, end=12_305)
    child = Run(f"{id}-check", run.at(9481), FACTS, parent_session_id=id, metadata={"of": "fact-check"})
    child.node("claims", 0, 300, output=["114 000 were sold in 2025"])
    child.call("claims", 1, 298, input=[SYSTEM], text="One claim.", **usage_of("orbit-2", 3100, 90))
    child.node("check", 300, 2800, output={"wrong": 0})
    child.call("check", 310, 2790, input=[SYSTEM], text="It is right.", **usage_of("orbit-2", 4100, 300))
    await child.store(storage, end=2810)
    return id


FACTS = workflow("fact-check", "Check of facts", {"claims": "llm", "check": "llm"}, [("claims", "check")])
TRIAGE = workflow(
    "ticket-triage",
    "Triage of tickets",
    {"read-ticket": "llm", "find-order": "tool", "draft-answer": "llm", "send": "tool"},
    [("read-ticket", "find-order"), ("find-order", "draft-answer"), ("draft-answer", "send")],
)


async def triage_failed(storage: StorageAdapter, begins_at: datetime, id: str = "triage-91c0") -> str:
    """Store a run of half a minute that failed."""
    run = Run(id, begins_at, TRIAGE, status="failed", metadata={"user": "grace", "ticket": 48_113})
    ticket = {"role": "user", "content": "My order 99-1204 never came. Where is it?"}
    run.node("read-ticket", 0, 2.3, input=ticket, output={"order": "99-1204"})
    run.call("read-ticket", 0.1, 2.2, input=[ticket], text='{"order": "99-1204"}', **usage_of("atlas-small", 402, 31))
    refused = "HTTPError: 503 Service Unavailable from https://orders.internal/v2/orders/99-1204"
    starts = (2.4, 8.9, 17.5)
    run.node(
        "find-order",
        24.1,
        31.0,
        status="failed",
        input={"order": "99-1204"},
        error=f'{refused}\nTraceback (most recent call last):\n  File "orders.py", line 81, in find\n    raise error',
        retry_count=3,
        attempts=tuple(run.attempt(start, start + 5.1, refused) for start in starts),
    )
    for start in (*starts, 24.1):
        run.tool("get_order", start + 0.1, 4.9, node_id="find-order", args={"order": "99-1204"}, error=refused)
    run.call(
        "find-order",
        29.4,
        30.9,
        input=[ticket],
        error="the model answered with nothing that is JSON",
        text="I could not find",
        finish_reason="length",
        **usage_of("atlas-small", 610, 64),
    )
    run.node("draft-answer", status="skipped")
    run.node("send", status="skipped")
    return await run.store(storage, end=31.2)


REPAIR = workflow(
    "repair-build",
    "Repair of a build",
    {"clone": "tool", "edit": "agent", "run-tests": "tool", "open-request": "tool"},
    [("clone", "edit"), ("edit", "run-tests"), ("run-tests", "edit"), ("run-tests", "open-request")],
)


async def repair_loop(
    storage: StorageAdapter, begins_at: datetime, id: str = "repair-loop-22", turns: int = 100
) -> str:
    """Store a run that goes round in a loop."""
    random = Random(22)
    run = Run(id, begins_at, REPAIR, metadata={"user": "lin", "repository": "shop/web", "branch": "main"})
    run.node("clone", 0, 6.4, output={"files": 1840})
    run.tool("git_clone", 0.1, 6.2, node_id="clone", args={"repository": "shop/web"}, result={"files": 1840})
    moment = 6.5
    messages: list[Any] = [{"role": "user", "content": "Make the tests pass."}]
    for turn in range(turns):
        end = moment + random.uniform(1.5, 9)
        args = {"path": f"src/page_{turn % 7}.ts", "line": turn * 3}
        asked = ToolCall(tool_call_id=f"edit-{turn}", tool_name="edit_file", args=args)
        failed = turn in {31, 62}
        call = run.call(
            "edit",
            moment,
            end,
            input=messages[:1] + messages[-6:],
            text=None if failed else f"Change {turn + 1}: the test expects another label.",
            tool_calls=None if failed else (asked,),
            error="429 Too Many Requests: try again in 2 s" if failed else None,
            attempt=0,
            **usage_of("atlas-large", 2200 + 310 * turn, 240, cached=2000 + 300 * turn, reasoning=90),
        )
        messages += [{"role": "assistant", "content": None}, {"role": "tool", "content": "edited"}]
        moment = end + 0.1
        if not failed:
            run.tool("edit_file", moment, 0.02, call, args=args, result="edited", tool_call_id=asked.tool_call_id)
            run.tool("run_test", moment + 0.1, 1.2, call, args={"only": args["path"]}, result={"failed": turns - turn})
            moment += 1.4
    run.node("edit", 6.5, moment, output={"changes": turns - 2})
    each = (moment - 20) / 11
    attempts = tuple(
        run.attempt(20 + place * each, 20 + (place + 0.8) * each, f"{11 - place} tests failed") for place in range(10)
    )
    run.node(
        "run-tests", 20 + 10 * each, moment + 30, attempts=attempts, retry_count=10, output={"passed": 412, "failed": 0}
    )
    run.node("open-request", moment + 30, moment + 31.5, output={"number": 812})
    run.tool(
        "open_request", moment + 30.1, 1.3, node_id="open-request", args={"title": "Repair"}, result={"number": 812}
    )
    return await run.store(storage, end=moment + 31.6)


REFUND = workflow(
    "refunds",
    "Refunds",
    {"read": "llm", "decide": "llm", "ask": "human", "pay": "tool"},
    [("read", "decide"), ("decide", "ask"), ("ask", "pay")],
)


async def refund_waiting(storage: StorageAdapter, begins_at: datetime, id: str = "refund-waiting-3") -> str:
    """Store a run that waits for two decisions."""
    run = Run(id, begins_at, REFUND, status="waiting_for_human_review", metadata={"user": "ada", "order": "77-0031"})
    letter = {"role": "user", "content": "The mixer broke on the second day. I want my money back."}
    run.node("read", 0, 1.9, input=letter, output={"order": "77-0031", "amount": "129.00"})
    run.call("read", 0.1, 1.8, input=[letter], text="Order 77-0031, 129.00 EUR.", **usage_of("atlas-small", 380, 24))
    run.node("decide", 1.9, 9.4, output={"refund": True})
    reason = "The order is 12 days old and the mixer is in warranty: refund it."
    run.call("decide", 2.0, 9.3, input=[letter], text=reason, **usage_of("atlas-large", 1890, 210, reasoning=160))
    asked = run.approval(
        "ask",
        9.5,
        "Pay 129.00 EUR back for order 77-0031?",
        context={"question": "Pay 129.00 EUR back for order 77-0031?", "reason": reason, "amount": "129.00 EUR"},
        expires_at=now() + timedelta(minutes=40),
    )
    run.approval(
        "ask",
        9.6,
        "May `payments.refund` be called?",
        type="tool_call",
        context={"tool": "payments.refund", "args": {"order": "77-0031", "amount": "129.00"}},
    )
    run.node("ask", 9.5, status="waiting_for_approval", pending_approval_id=asked)
    run.node("pay")
    return await run.store(storage)


ANSWER = workflow(
    "answer",
    "Answers",
    {"retrieve": "tool", "answer": "llm", "check": "llm"},
    [("retrieve", "answer"), ("answer", "check")],
)


async def answer_live(storage: StorageAdapter, begins_at: datetime, id: str = "answer-live-1") -> str:
    """Store a run that is at work: its second node runs, with a model call."""
    run = Run(id, begins_at, ANSWER, status="running", metadata={"user": "lin"})
    run.node("retrieve", 0, 0.8, output={"passages": 6})
    run.tool("search", 0.05, 0.7, node_id="retrieve", args={"text": "parental leave"}, result={"passages": 6})
    run.node("answer", 0.8, input={"passages": 6})
    question = {"role": "user", "content": "How long is parental leave?"}
    run.call("answer", 1.0, None, input=[SYSTEM, question], model="orbit-2", provider="orbital")
    run.node("check")
    run.stream("answer", "answer", ["Parental", " leave", " is"], 1.4)
    return await run.store(storage)


async def answer_goes_on(storage: StorageAdapter, id: str = "answer-live-1", node: str = "check") -> None:
    """Let the live run go on: its model call ends, and a node begins."""
    (running,) = [each for each in await storage.get_llm_executions(id) if each.success is None][:1] or [None]
    if running is not None:
        result = LLMExecutionResult(
            id=running.id,
            timestamp=running.timestamp,
            completed_at=now(),
            success=True,
            input=running.input,
            text="Parental leave is 49 weeks.",
            **usage_of("orbit-2", 2400, 60),
        )
        await storage.save_llm_execution(id, running.node_id, result)
        await storage.update_node_state(
            id,
            "answer",
            NodeExecutionState(
                node_id="answer", status="completed", started_at=running.timestamp, completed_at=now(), output="49"
            ),
        )
    await storage.update_node_state(
        id, node, NodeExecutionState(node_id=node, status="running", started_at=now(), input={"answer": "49 weeks"})
    )


async def answer_ends(storage: StorageAdapter, id: str = "answer-live-1") -> None:
    """End the live run."""
    state = await storage.get_execution_state(id)
    assert state is not None
    await storage.save_execution_state(
        WorkflowExecutionState(
            session_id=id,
            status="completed",
            started_at=state.started_at,
            completed_at=now(),
            node_states={
                "check": NodeExecutionState(node_id="check", status="completed", started_at=now(), completed_at=now())
            },
        )
    )


async def lookup_quick(storage: StorageAdapter, begins_at: datetime, id: str = "lookup-0-18s") -> str:
    """Store a run of 180 milliseconds."""
    run = Run(id, begins_at, ANSWER, metadata={"user": "cache"})
    run.node("retrieve", 0, 0.021, output={"passages": 2})
    run.tool("search", 0.001, 0.019, node_id="retrieve", args={"text": "opening hours"}, result={"passages": 2})
    run.node("answer", 0.022, 0.161, output="9 to 17")
    run.call("answer", 0.023, 0.16, text="From 9 to 17.", **usage_of("atlas-small", 210, 9, cached=190))
    run.node("check", 0.162, 0.18)
    run.call("check", 0.163, 0.179, text="yes", **usage_of("atlas-small", 90, 1))
    return await run.store(storage, end=0.181)


async def budgets(storage: StorageAdapter, created_at: datetime) -> None:
    """Store a tree of budget pools, one of them for each of three workflows, and a pool that is over-used."""
    pools = (
        BudgetPool(id="production", total_budget="500", used_budget="214.6", metadata={"name": "Production"}),
        BudgetPool(id="market-research", parent_pool_id="production", total_budget="300", used_budget="171.35"),
        BudgetPool(
            id="ticket-triage", parent_pool_id="production", total_budget="40", used_budget="40", status="exhausted"
        ),
        BudgetPool(
            id="refunds", parent_pool_id="production", total_budget="25", used_budget="3.25", status="suspended"
        ),
        BudgetPool(id="experiments", total_budget="10", used_budget="12.75", status="exhausted"),
    )
    for pool in pools:
        await storage.create_budget_pool(evolve(pool, created_at=created_at))


async def fill(storage: StorageAdapter) -> None:
    """Store all of them, but for the large one, as if they had begun in the last hours."""
    before = now()
    await budgets(storage, before - timedelta(days=3))
    await empty(storage, before - timedelta(days=2))
    await odd(storage, before - timedelta(days=1))
    await hostile(storage, before - timedelta(hours=20))
    await research(storage, before - timedelta(hours=5))
    await repair_loop(storage, before - timedelta(minutes=50))
    await triage_failed(storage, before - timedelta(minutes=30))
    await refund_waiting(storage, before - timedelta(minutes=12))
    await lookup_quick(storage, before - timedelta(minutes=3))
    await answer_live(storage, before - timedelta(seconds=20))


async def main(url: str) -> None:
    """Fill the store at a URL."""
    async with open_adapter(url) as storage:
        await fill(storage)
        await large(storage, now() - timedelta(hours=3))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
