"""The page that looks for a text."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import runs
from studio_serving import Serve, Studio

from aaow_storage import (
    ApprovalRequest,
    LLMExecutionResult,
    Session,
    StorageAdapter,
    StoredWorkflow,
    StreamEvent,
    ToolCallLog,
)
from aaow_storage_studio._web.excerpt import first_excerpt, pattern_of

NEWEST = datetime(2026, 3, 1, tzinfo=UTC)


async def fill(storage: StorageAdapter) -> None:
    """Store twelve sessions, one an hour, each with a needle in one of its records."""
    for number in range(12):
        at = NEWEST - timedelta(hours=number)
        session_id = f"s-{number}"
        needle = [f"a Needle of {number}" if number % 6 == place else "hay" for place in range(6)]
        metadata = {"note": [needle[0]]}
        await storage.create_session(
            Session(id=session_id, workflow_id=None, workflow_snapshot={}, created_at=at, metadata=metadata)
        )
        call = LLMExecutionResult(id=f"call-{number}", timestamp=at, text=needle[1])
        await storage.save_llm_execution(session_id, "node", call)
        common = {"tool_call_id": "t", "tool_name": "find", "args": {}, "timestamp": at}
        await storage.log_tool_call(
            ToolCallLog(id=f"of-call-{number}", execution_id=call.id, error=needle[2], **common)
        )
        await storage.log_tool_call(
            ToolCallLog(id=f"of-node-{number}", session_id=session_id, node_id="node", error=needle[3], **common)
        )
        decided = {"status": "approved", "resolved_at": at, "resolved_by": "ada"} if number % 2 else {}
        await storage.create_approval_request(
            ApprovalRequest(
                id=f"approval-{number}",
                session_id=session_id,
                node_id="node",
                type="human_review",
                created_at=at,
                resolution_notes=needle[4] if decided else None,
                context={"question": needle[4]},
                **decided,
            )
        )
        await storage.save_workflow(
            StoredWorkflow(id=f"w-{number}", name=needle[5], version="1", definition={}, created_at=at)
        )


ALL = {
    "session": ["s-0", "s-6"],
    "llm_execution": ["call-1", "call-7"],
    "tool_call": ["of-call-2", "of-node-3", "of-call-8", "of-node-9"],
    "approval_request": ["approval-4", "approval-10"],
    "workflow": ["w-5", "w-11"],
}


def ids(answer: Any) -> dict[str, list[str]]:
    return {group["kind"]: [hit["record"]["id"] for hit in group["hits"]] for group in answer["found"]}


def test_every_kind_of_record_is_looked_through_in_any_case(serve: Serve, store_url: str):
    studio = serve(fill, store=store_url)
    answer = studio.json("/search.json?text=NEEDLE")
    assert ids(answer) == ALL
    assert (answer["since"], answer["next"]) == (None, None)
    assert answer["found"][0]["hits"][0] == {
        "record": answer["found"][0]["hits"][0]["record"],
        "field": "metadata",
        "text": "a Needle of 0",
    }


@pytest.mark.parametrize("step", [1, 5])
def test_looking_further_back_looks_through_every_period_once(serve: Serve, store_url: str, step: int):
    studio = serve(fill, store=store_url)
    found: dict[str, list[str]] = {kind: [] for kind in ALL}
    parameters: dict[str, Any] | None = {"step": step}
    steps = 0
    while parameters is not None:
        answer = studio.json(f"/search.json?{urlencode({'text': 'needle', **parameters, 'step': step})}")
        for kind, records in ids(answer).items():
            found[kind] += records
        parameters = answer["next"]
        steps += 1
    assert found == ALL
    assert steps == 12 // step + (1 if 12 % step else 0)


def test_a_step_goes_on_where_more_was_made_at_one_instant_than_it_reads(serve: Serve):
    async def import_many(storage: StorageAdapter) -> None:
        for number in range(5):
            await storage.create_session(
                Session(id=f"s-{number}", workflow_id=None, workflow_snapshot={}, created_at=NEWEST)
            )
        before = NEWEST - timedelta(days=1)
        await storage.create_session(Session(id="s-old", workflow_id=None, workflow_snapshot={}, created_at=before))

    studio = serve(import_many)
    parameters: dict[str, Any] | None = {}
    found = []
    while parameters is not None:
        answer = studio.json(f"/search.json?{urlencode({'text': 's-', **parameters, 'step': 2})}")
        found += ids(answer)["session"]
        parameters = answer["next"]
    assert found[-1] == "s-old"


def test_the_page_marks_the_text_and_says_which_period_was_searched(serve: Serve):
    studio = serve(fill)
    html = studio.get("/search?text=needle&step=2").text
    assert "a <mark>Needle</mark> of 0" in html
    assert "what was stored after 2026-02-28 22:00:00" in html
    assert "Look further back" in html
    assert "/model-call?session=s-2&amp;id=call-2#tool-of-call-2" in studio.get("/search?text=needle").text
    assert "/session?id=s-3&amp;open=node#tool-of-node-3" in studio.get("/search?text=needle").text
    assert 'id="tool-of-call-2"' in studio.get("/model-call?session=s-2&id=call-2").text
    assert "Searched: everything" in studio.get("/search?text=needle").text


def test_a_record_with_the_text_as_its_id_comes_first(serve: Serve):
    async def fill_with_stream(storage: StorageAdapter) -> None:
        await fill(storage)
        await storage.save_stream_event(StreamEvent(stream_id="s-3", node_id="n", data="x"))

    studio = serve(fill_with_stream)
    same = studio.json("/search.json?text=s-3")["same_id"]
    assert [each["kind"] for each in same] == ["session", "stream_event"]
    assert [each["kind"] for each in studio.json("/search.json?text=approval-3")["same_id"]] == ["approval_request"]
    html = studio.get("/search?text=call-7").text
    assert html.index("With this id") < html.index("/model-call?session=s-7&amp;id=call-7")


def test_what_is_redacted_is_not_found(serve: Serve):
    studio = serve(fill, redact=["Needle"])
    assert not any(ids(studio.json("/search.json?text=needle")).values())
    assert ids(studio.json("/search.json?text=redacted"))["session"] == ["s-0", "s-6"]


def test_without_a_text_nothing_is_looked_for(studio: Studio):
    assert studio.json("/search.json?text=%20")["found"] == []
    assert "It is looked for in" in studio.get("/search").text


def test_an_instant_that_is_none_is_refused(studio: Studio):
    for wrong in ("yesterday", "2026-01-01T00:00:00"):
        assert studio.get(f"/search?text=a&until={wrong}").status_code == 400


def test_more_hits_than_are_shown_are_said(serve: Serve):
    async def import_many(storage: StorageAdapter) -> None:
        for _ in range(60):
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}, metadata={"a": "same"}))

    studio = serve(import_many)
    sessions = studio.json("/search.json?text=same")["found"][0]
    assert (len(sessions["hits"]), sessions["has_more"]) == (50, True)


def test_an_excerpt_has_the_words_around_and_marks_every_place():
    found = first_excerpt([("error", None), ("text", "x" * 100 + "One one ONE" + "y" * 300)], pattern_of("one"))
    assert found is not None
    assert found.where == "text"
    assert found.parts[1::2] == ("One", "one", "ONE")
    assert found.text == "…" + "x" * 60 + "One one ONE" + "y" * 112 + "…"
    assert first_excerpt([("metadata", {"a": [{"b": True}]})], pattern_of("b: true")) is not None
    assert first_excerpt([("metadata", {"a": ["(+"]})], pattern_of("(+")) is not None
    assert first_excerpt([("metadata", {"a": 1})], pattern_of("b")) is None


def test_hostile_texts_are_marked_and_not_run(serve: Serve, page: Any):
    studio = serve(runs.fill)
    for text in ("<script>", "onerror=", "{{ 7"):
        page.goto(f"{studio.url}/search?{urlencode({'text': text})}")
        assert page.locator("main mark").first.inner_text() == text
        assert page.locator("main script, main img").count() == 0
    page.fill("#search", "order")
    page.keyboard.press("Enter")
    page.wait_for_selector("mark:text-is('order')")
