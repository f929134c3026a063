"""Runs that no program should write, and pages have to show: see `runs`."""

from datetime import datetime
from itertools import pairwise
from random import Random

from run_builder import Run, usage_of, workflow

from aaow_storage import Session, StorageAdapter, StoredWorkflow

HOSTILE: tuple[str, ...] = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</script><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "a&b?c=d#e/../f%00+g",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "line one\nline two\ttab",
    "x" * 200,
    "\N{GRINNING FACE}\N{COMBINING ACUTE ACCENT} \N{ZERO WIDTH JOINER}",
    " leading and trailing ",
)


async def empty(storage: StorageAdapter, begins_at: datetime, id: str = "empty-5") -> str:
    """Store a session without a workflow, a state, or any call."""
    await storage.create_session(
        Session(id=id, workflow_id=None, workflow_snapshot={}, status="queued", created_at=begins_at)
    )
    return id


async def odd(storage: StorageAdapter, begins_at: datetime, id: str = "odd-6") -> str:
    """Store a run whose records contradict each other."""
    run = Run(id, begins_at, StoredWorkflow(id="odd", name="Odd", version="1", definition={"prompt": "Just do it"}))
    run.node("backwards", 10, 4, error="it ended before it began")
    run.node("never-started", None, 5, status="completed")
    run.node("only-status", status="running")
    run.call("backwards", 12, 3, text="before it began", **usage_of("atlas-small", 10, 1))
    run.call("no-such-node", 1, 2, text="of a node without a state", **usage_of("atlas-small", 10, 1))
    run.call("no-such-node", 3, None)
    run.tool("ping", 2, None, node_id="another-node", error="no answer")
    run.approval("third-node", 6, "Who asks?", status="rejected", resolved_at=run.at(5), resolved_by="grace")
    return await run.store(storage, end=-5, state=True)


async def hostile(storage: StorageAdapter, begins_at: datetime, id: str = HOSTILE[1]) -> str:
    """Store a run in which every id and every text is hostile."""
    nodes = dict.fromkeys(HOSTILE, HOSTILE[0])
    flow = workflow(HOSTILE[0], HOSTILE[1], nodes, list(pairwise(HOSTILE)), note=HOSTILE[3])
    run = Run(id, begins_at, flow, status="failed", metadata={text: text for text in HOSTILE})
    for place, text in enumerate(HOSTILE):
        attempts = (run.attempt(place, place + 0.2, text, output={text: text}),)
        given = {"error": text, "status": "failed"} if place % 2 else {"output": {text: [text]}}
        run.node(text, place + 0.3, place + 1, input=text, attempts=attempts, retry_count=1, **given)
        result = {**usage_of("atlas-small", 10, 1), "model": text, "provider": text}
        messages = [{"role": text, "content": text}, {"role": "user", "content": [{"type": text, "text": text}]}]
        call = run.call(text, place, place + 0.5, input=messages, text=text, error=text, finish_reason=text, **result)
        run.tool(text, place + 0.5, 0.1, call, args={text: text}, result=text, error=text, tool_call_id=text)
        run.approval(text, place, text, context={text: text, "question": text}, resolution_notes=text)
        run.stream(text, text, [text, text], place)
    return await run.store(storage, end=len(HOSTILE))


async def large(
    storage: StorageAdapter, begins_at: datetime, id: str = "large-8", *, nodes: int = 500, calls: int = 5000
) -> str:
    """Store a run of many nodes and calls; every fiftieth node failed."""
    random = Random(8)
    names = {f"step-{place:04}": "llm" for place in range(nodes)}
    ids = list(names)
    run = Run(id, begins_at, workflow("large", "Large", names, list(pairwise(ids))), status="failed")
    for place, node in enumerate(ids):
        failed = {"status": "failed", "error": f"step {place} failed"} if place % 50 == 49 else {}
        run.node(node, place * 2.0, place * 2.0 + 1.9, output={"place": place}, **failed)
    for place in range(calls):
        node = random.randrange(nodes)
        start = node * 2.0 + random.uniform(0, 1.5)
        run.call(ids[node], start, start + random.uniform(0.05, 0.4), text="done", **usage_of("atlas-small", 300, 20))
        if place % 5 == 0:
            run.tool("look_up", start, 0.02, node_id=ids[node], result=place)
    return await run.store(storage, end=nodes * 2.0)
