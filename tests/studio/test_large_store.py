"""Pages of a store of a million sessions: the first page of each list takes the server less than 100 ms."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import large_store
import pytest
from asgi_calls import Answer, ask

from aaow_storage import SessionStatus, create_adapter
from aaow_storage_studio import studio_app
from aaow_storage_studio._web import paging

BOUND_S = 0.1
TIMES = 10
MEMORY = Path("/dev/shm")
SPACE = 4 * 2**30

NEWEST = "0000000f-423c-7000-8000-000000000000"
"""The id of one of the newest sessions that have no run of their own."""
PAGES = [
    "/sessions",
    *(f"/sessions?status={status}" for status in SessionStatus),
    "/sessions?q=workflow_id=workflow-007",
    "/sessions?q=workflow_id=workflow-007&status=failed",
    "/sessions?q=created_at>-1d",
    "/sessions?q=created_at<-300d",
    "/sessions?q=created_at<-300d&status=failed",
    "/sessions?q=metadata.user=user-7+created_at>-3d",
    f"/sessions?q=parent_session_id={NEWEST}",
    "/sessions?order=created_at",
    "/sessions?order=id",
    "/approvals",
    "/approvals?status=approved",
    "/approvals?status=rejected",
    "/approvals?status=expired",
    "/approvals?q=type=budget_increase",
    "/approvals?q=session_id=refund-waiting-3",
    "/model-calls",
    "/model-calls?outcome=failed",
    "/model-calls?q=session_id=research-7f3a",
    "/model-calls?q=model=atlas-large",
    "/model-calls?q=timestamp<-300d",
    "/model-call?session=research-7f3a&id=research-7f3a/call-1",
    "/budgets",
    "/budgets?status=suspended",
    "/budgets?q=used_budget>99",
    "/budget?id=pool-40000",
    "/budget?id=production",
    "/usage",
    "/usage?by=workflow",
    "/usage?by=node",
    "/usage?by=day",
    "/workflows",
    "/workflow?id=workflow-007",
    "/workflow?session=research-7f3a",
    "/streams",
    "/streams?begins=0000000f-4",
    f"/streams?session={NEWEST}",
    "/session?id=research-7f3a",
    f"/session?id={NEWEST}",
    "/search?text=report",
    "/search?text=nothing-has-this",
]
DEEP = {
    "/sessions": "/sessions?q=created_at<-180d",
    "/sessions?status=failed": "/sessions?q=created_at<-180d&status=failed",
    "/sessions?q=workflow_id=workflow-007": "/sessions?q=created_at<-180d+workflow_id=workflow-007",
    "/approvals?status=approved": "/approvals?q=created_at<-180d&status=approved",
    "/model-calls": "/model-calls?q=timestamp<-180d",
    "/workflows": "/workflows?q=created_at<-360d",
}
"""Lists, and a list whose first page ends deep inside of them."""


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """Make the store, in memory if there is room."""
    folder = tmp_path
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > SPACE:
        folder = Path(tempfile.mkdtemp(prefix="studio-", dir=MEMORY))
    try:
        large_store.make(folder / "large.db")
        yield folder / "large.db"
    finally:
        shutil.rmtree(folder)


async def get(app: Any, address: str) -> tuple[Answer, float]:
    """Return the answer, and how much CPU time this process took: what others do on this machine is not in it."""
    path, _, query = address.partition("?")
    began = time.process_time()
    answer = await ask(app, path, query=query)
    return answer, time.process_time() - began


async def best_time(app: Any, address: str) -> float:
    """Return the shortest time of a few requests after the first one, which fills caches."""
    times = []
    for _ in range(1 + TIMES):
        answer, took_s = await get(app, address)
        assert answer.status == 200, address
        assert 'role="alert"' not in answer.text, address
        times.append(took_s)
        if len(times) > 1 and took_s < BOUND_S / 2:
            break
    return min(times[1:])


@pytest.mark.asyncio
@pytest.mark.slow(seconds=30)  # it makes a store of a million sessions
async def test_pages_take_less_than_100_ms_at_a_million_sessions(large: Path, monkeypatch: pytest.MonkeyPatch):
    async with create_adapter("sqlite", str(large)) as storage:
        app = studio_app(storage)
        addresses = list(PAGES)
        for address, reaching in DEEP.items():
            answer, _ = await get(app, reaching.replace("?", ".json?"))
            addresses.append(f"{address}{'&' if '?' in address else '?'}after={json.loads(answer.text)['next']}")
        times = {address: await best_time(app, address) for address in addresses}
        assert {address: seconds for address, seconds in times.items() if seconds >= BOUND_S} == {}

        # No index helps: such a list is looked for in time, and what is given up reads no further.
        monkeypatch.setattr(paging, "PATIENCE_S", 0.02)
        answer, took_s = await get(app, "/sessions?q=metadata.user=nobody")
        assert "was given up after 0.02 s" in answer.text
        assert took_s < BOUND_S
