"""The page of the store."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from studio_serving import Serve, Studio

from aaow_storage import BudgetPool, DelegatingAdapter, LLMExecutionResult, Session, StorageAdapter, now, open_adapter
from aaow_storage.authoring import MaintenanceFinding, RecordFinding, StoreMaintenance, StoreSizes
from aaow_storage.errors import StorageUnavailableError
from aaow_storage_studio import StudioSettings, studio_app
from aaow_storage_studio._pages import store as store_page
from aaow_storage_studio._web.formats import MISSING, byte_count

HOSTILE = 'x"<b>&\\'


async def add_problems(storage: StorageAdapter) -> None:
    """Store a pool that has used less than the one inside of it, and a model call that ended before it began."""
    await storage.create_budget_pool(BudgetPool(id=HOSTILE, total_budget="9"))
    await storage.create_budget_pool(BudgetPool(id="inside", parent_pool_id=HOSTILE, total_budget="9", used_budget="5"))
    await storage.create_session(Session(id="run", workflow_id=None, workflow_snapshot={}))
    at = now()
    early = LLMExecutionResult(id="call", success=True, timestamp=at, completed_at=at - timedelta(hours=1))
    await storage.save_llm_execution("run", "node", early)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing take too long, however busy the machine is."""
    monkeypatch.setattr(store_page, "USUAL_PATIENCE_S", 60.0)


class Tight(StoreMaintenance):
    """A maintenance that tells the whole size alone, finds a damage, and has a secret in what it says."""

    place = "somewhere"

    async def sizes(self) -> StoreSizes:
        return StoreSizes(total_bytes=3 * 2**20)

    async def check_integrity(self) -> tuple[MaintenanceFinding, ...]:
        return (MaintenanceFinding(problem="page 7 says sk-12345", place="page 7", remedy="restore a backup"),)

    async def check_records(self, *, repair: bool = False) -> AsyncIterator[RecordFinding]:
        for _ in range(store_page.MAX_FINDINGS + 1):
            yield RecordFinding(
                problem="unused", place="documents", remedy="none", code="document-unused", kind=None, id="abc"
            )


def asked(path: str, maintenance: StoreMaintenance | None, **settings: Any) -> httpx2.Response:
    """Ask a studio of an empty store in memory, which is behind another adapter.

    It has a thread of its own, because a browser of other tests has an event loop in this one.
    """

    async def ask() -> httpx2.Response:
        async with open_adapter("memory") as storage:
            app = studio_app(DelegatingAdapter(storage), StudioSettings(**settings), maintenance=maintenance)
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(path)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result()


def test_the_page_says_what_is_in_the_store_and_how_large_it_is(serve: Serve, store_url: str):
    studio = serve(store=store_url)
    found = studio.json("/store.json")
    counts = {each["kind"]: (each["count"], each["by_status"]) for each in found["kinds"]}
    assert counts["session"] == (5, {"queued": 1, "running": 1, "completed": 2, "failed": 1})
    assert counts["tool_call"] == (8, {})
    assert "execution_state" not in counts
    assert found["schema_version"]["is_current"]
    assert found["sizes"]["total_bytes"] > 10_000
    assert "sessions" in {table["name"] for table in found["sizes"]["tables"]}
    assert found["durability"]
    assert found["check"] is None
    (own,) = [each for each in found["backends"] if each["is_of_store"]]
    assert own["name"] == store_url.partition(":")[0].replace("file", "sqlite").partition("+")[0]
    text = studio.get("/store").text
    assert "Check the store" in text
    assert "Sizes of the tables" in text


def test_everything_is_counted_only_if_it_is_asked_for(studio: Studio):
    exact = {each["kind"]: each["count"] for each in studio.json("/store.json?exact=yes")["kinds"]}
    assert exact["execution_state"] == 4
    assert "Count everything" not in studio.get("/store?exact=yes").text


def test_a_check_reads_everything_and_links_what_it_finds_to_its_record(serve: Serve):
    studio = serve(add_problems)
    found = studio.json("/store.json?check=yes")["check"]
    assert not found["report"]["sound"]
    assert found["report"]["records"]["budget_pool"] == 2
    assert {each["problem"] for each in found["findings"]} == {"budget-sum", "instants-out-of-order"}
    text = studio.get("/store?check=yes").text
    assert "/budget?id=x%22%3Cb%3E%26%5C" in text
    assert "/model-calls?q=id%3D%22call%22" in text
    assert "<b>&amp;" not in text
    assert studio.json("/model-calls.json?q=id%3D%22call%22")["records"][0]["id"] == "call"


def test_a_sound_store_is_called_so(studio: Studio):
    assert "Nothing is wrong." in studio.get("/store?check=yes").text
    assert studio.json("/store.json?check=yes")["check"]["report"]["sound"]


def test_without_a_maintenance_the_page_says_what_is_missing():
    answer = asked("/store?check=yes", None)
    assert answer.status_code == 200
    for part in ("What only the backend knows", "The backend does not tell sizes", "Not checked:", "Nothing is wrong"):
        assert part in answer.text
    assert asked("/store.json", None).json()["sizes"] is None


def test_what_the_backend_says_is_redacted_and_no_more_findings_are_shown_than_is_said():
    answer = asked("/store?check=yes", Tight(), redact=["sk-[0-9]+"])
    assert "3.0 MiB" in answer.text
    assert "sk-12345" not in answer.text
    assert f"the first {store_page.MAX_FINDINGS} are shown" in answer.text
    assert "but not of its tables" in answer.text
    document = asked("/store.json?check=yes", Tight(), redact=["sk-[0-9]+"]).json()["check"]
    assert len(document["findings"]) == store_page.MAX_FINDINGS
    assert sum(document["report"]["counts"].values()) == store_page.MAX_FINDINGS + 2
    damage = asked("/store.json?check=yes", Damaged(), redact=["sk-[0-9]+"]).json()["check"]["findings"]
    assert [each["message"] for each in damage] == ["page 7 says [redacted]"]


class Damaged(Tight):
    """The same, with the damage alone."""

    async def check_records(self, *, repair: bool = False) -> AsyncIterator[RecordFinding]:
        for finding in ():
            yield finding


class Unreachable(Tight):
    """A maintenance that cannot reach the store."""

    async def sizes(self) -> StoreSizes:
        raise StorageUnavailableError("no route to the host")


def test_a_backend_that_cannot_describe_its_store_says_why():
    answer = asked("/store", Unreachable())
    assert answer.status_code == 200
    assert '<p class="problem" role="alert">no route to the host</p>' in answer.text
    assert "Records by kind" in answer.text


def test_what_takes_too_long_is_given_up_and_can_be_asked_for(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_page, "USUAL_PATIENCE_S", 0.0)
    found = studio.json("/store.json")
    assert found["kinds"] is None
    assert found["sizes"] is None
    assert found["schema_version"]["is_current"]
    text = studio.get("/store").text
    assert "Counting takes long" in text
    assert "Measuring takes long" in text
    assert studio.json("/store.json?sizes=yes&exact=yes")["sizes"]["tables"]
    monkeypatch.setattr(store_page, "PATIENCE_S", 0.0)
    assert "was given up" in studio.json("/store.json?check=yes")["check"]["problem"]


def test_a_store_that_went_away_is_said_in_a_sentence(serve: Serve, tmp_path: Path):
    studio = serve()
    for path in tmp_path.glob("store.db*"):
        path.rename(path.with_name(f"gone-{path.name}"))
    answer = studio.get("/store")
    assert answer.status_code == 503
    assert "removed, moved or replaced" in answer.text


def test_a_store_behind_another_adapter_is_of_the_same_backend():
    backends = asked("/store.json", None).json()["backends"]
    assert [each["name"] for each in backends if each["is_of_store"]] == ["memory"]


def test_sizes_are_written_for_people():
    sizes = (None, 0, 1023, 1024, 5 * 2**20, 2**50)
    assert [byte_count(size) for size in sizes] == [MISSING, "0 bytes", "1023 bytes", "1.0 KiB", "5.0 MiB", "1024 TiB"]
