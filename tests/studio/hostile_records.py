"""Records whose every text is an attack, or has a secret in it, and the addresses of the pages that show them."""

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlencode

from run_builder import Run, usage_of, workflow

from aaow_storage import BudgetPool, StorageAdapter, now
from aaow_storage_studio._pages import PAGES

EVIL = "https://evil.example"
PROBES: tuple[str, ...] = (
    "<xss-probe xss-attr=1>",
    '"><xss-probe xss-attr="1">',
    "'><xss-probe xss-attr='1'>",
    '" xss-attr="1" autofocus onfocus="alert(1)',
    "' xss-attr='1' onmouseover='alert(1)",
    " xss-attr=1 onload=alert(1) ",
    "</textarea></title></style></script><xss-probe><script>alert(1)</script>",
    "--><xss-probe><!--",
    "]]><xss-probe>",
    "javascript:alert(1)",
    "JaVa\tScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//evil.example/x",
    "/\\evil.example",
    f"{EVIL}/x.png",
    f"![x]({EVIL}/x.png) [y](javascript:alert(1))",
    "{{ 7 * 191 }}{% raw %}${alert(1)}",
    f"<img src={EVIL}/i onerror=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    '<a href="javascript:alert(1)" xss-attr>x</a>',
    f"<base href={EVIL}/>",
    f'<meta http-equiv=refresh content="0;url={EVIL}">',
    f"<link rel=stylesheet href={EVIL}>",
    f"<iframe src={EVIL} srcdoc='<script>alert(1)</script>'>",
    f"<form action={EVIL}><button formaction={EVIL}>",
    f'<div hx-get="{EVIL}" hx-trigger="load" hx-on:load="alert(1)">',
    f'<hx-partial hx-target="body"><xss-probe></hx-partial><div style="background:url({EVIL})">',
    "\N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m\x7f\N{LINE SEPARATOR}",
    "&lt;xss-probe&gt;&#60;xss-probe&#62;&quot; xss-attr",
    "line\r\nSet-Cookie: xss-attr=1",
)
SESSION, CALL = PROBES[1], f"{PROBES[1]}/call-1"
FIRST: dict[str, dict[str, str]] = {
    "approval": {"id": f"{SESSION}/approval-3"},
    "budget": {"id": PROBES[1]},
    "compare": {"a": SESSION, "b": SESSION},
    "model-call": {"session": SESSION, "id": CALL},
    "search": {"text": "xss"},
    "session": {"id": SESSION},
    "stream": {"id": f"{SESSION}/{PROBES[0]}"},
    "usage": {"by": "model"},
    "workflow": {"id": PROBES[0]},
}
"""What a page needs to show the records."""


def addresses(twin: str = "") -> list[str]:
    """Return the addresses of all pages with the records, or of their JSON."""
    found = [f"/{page.path}{twin}?{urlencode(FIRST.get(page.path, {}))}" for page in PAGES]
    statuses = [f"/approvals{twin}?status={status}" for status in ("approved", "rejected", "expired")]
    return [*found, *statuses]


async def fill(storage: StorageAdapter) -> None:
    """Store a run, budgets and requests of every status in which every text is an attack."""
    await store_records(storage, PROBES, PROBES)


async def store_records(storage: StorageAdapter, texts: Sequence[str], ids: Sequence[str]) -> None:
    """Store records with the ids, and with the texts in all other fields that are texts or JSON."""
    pairs = list(zip(ids, texts, strict=True))
    flow = workflow(ids[0], texts[1], dict(pairs), list(pairwise(ids)), note=list(texts), **{texts[2]: texts[3]})
    metadata = {text: [text, {text: text}] for text in texts}
    run = Run(ids[1], now(), flow, status="failed", metadata=metadata)
    for place, (name, text) in enumerate(pairs):
        attempts = (run.attempt(place, place + 0.2, text, output={text: text}),)
        state = {"error": text, "status": "failed"} if place % 2 else {"output": {text: [text]}}
        run.node(name, place + 0.3, place + 1, input=text, attempts=attempts, retry_count=1, metadata=metadata, **state)
        parts = [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": text}},
            {"type": "image", "source": {"type": "url", "url": text, "media_type": text}},
            {"type": text, text: text},
        ]
        asked = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
        messages = [
            {"role": "user", "content": text},
            {"role": text, "content": parts},
            {"role": "assistant", "content": None, "tool_calls": [asked]},
            {"role": "tool", "tool_call_id": text, "name": text, "content": text},
        ]
        result = {**usage_of("atlas-small", 10, 1), "model": text, "provider": text, "metadata": metadata}
        call = run.call(
            name,
            place,
            place + 0.5,
            input=messages,
            output={text: text},
            text=text,
            error=text,
            finish_reason=text,
            **result,
        )
        run.tool(text, place + 0.5, 0.1, call, args={text: text}, result=text, error=text, tool_call_id=name)
        context = {text: text, "question": text, "rest": [text, {text: text}]}
        decided = {"resolved_by": text, "resolution_notes": text, "resolved_at": now()}
        status = ("pending", "approved", "rejected", "expired")[place % 4]
        run.approval(name, place, text, context=context, status=status, **(decided if 0 < place % 4 < 3 else {}))
        run.stream(name, name, [text, text], place)
    await run.store(storage, end=len(texts))
    parent = None
    for name, text in pairs:
        pool = BudgetPool(id=name, parent_pool_id=parent, total_budget="10", used_budget="3", metadata={text: text})
        await storage.create_budget_pool(pool)
        parent = ids[0]
