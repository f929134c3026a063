"""The page of a session: its waterfall, what failed, and how it is kept up to date."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import runs
from studio_serving import Serve, Studio, serving
from unusual_runs import HOSTILE

from aaow_storage import NodeExecutionState, StorageAdapter, create_adapter, now
from aaow_storage_studio import StudioSettings, studio_app
from aaow_storage_studio._web import run_reading


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Serve all runs that are not large, for tests that only read."""
    with serving(f"file:{tmp_path_factory.mktemp('runs') / 'runs.db'}", StudioSettings(), runs.fill) as serving_studio:
        yield serving_studio


class Elements(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def ids(self, beginning: str = "") -> list[str]:
        return [found for _, values in self.tags if (found := values.get("id")) and found.startswith(beginning)]

    def bars(self) -> list[str]:
        """Return the names of all bars that lead somewhere."""
        return [values["aria-label"] or "" for tag, values in self.tags if tag == "a" and "aria-label" in values]


def elements(studio: Studio, path: str) -> Elements:
    answer = studio.get(path)
    assert answer.status_code == 200, answer.text
    return Elements(answer.text)


def test_what_failed_comes_first_and_what_failed_alike_is_one_problem(studio: Studio):
    problems = studio.json("/session.json?id=triage-91c0")["problems"]
    assert [(each["node"], each["where"], each["is_mended"]) for each in problems] == [
        ("find-order", ["the node", "3 earlier attempts", "4 tool calls get_order"], False),
        ("find-order", ["model call atlas-small"], False),
    ]
    assert problems[0]["message"].startswith("HTTPError: 503")
    assert "Traceback" in problems[0]["message"]
    text = studio.get("/session?id=triage-91c0").text
    assert text.index("What failed") < text.index("Timeline")
    assert 'href="#node-find-order"' in text


def test_what_failed_in_a_node_that_completed_comes_last(studio: Studio):
    problems = studio.json("/session.json?id=repair-loop-22")["problems"]
    assert {each["is_mended"] for each in problems} == {True}
    assert problems[0]["where"] == ["2 model calls atlas-large"]
    assert "What failed, and was mended" in studio.get("/session?id=repair-loop-22").text


def test_nodes_come_as_they_began_with_their_totals(studio: Studio):
    found = studio.json("/session.json?id=research-7f3a")
    assert [node["id"] for node in found["nodes"]][:3] == ["plan", "review-plan", "search-web"]
    assert found["duration_s"] == 12_305
    assert found["usage"]["executions"] == 21
    assert found["usage"]["cache_read_tokens"] > 0
    assert found["tool_calls"] == 15
    assert found["children"] == ["research-7f3a-check"]
    assert [stream["stream_id"] for stream in found["streams"]] == ["research-7f3a/report"]
    child = elements(studio, "/session?id=research-7f3a-check")
    assert ("a", "/session?id=research-7f3a") in {(tag, (values.get("href") or "")) for tag, values in child.tags}


def test_each_bar_is_a_link_with_a_name_and_each_row_can_be_linked_to(studio: Studio):
    found = elements(studio, "/session?id=triage-91c0")
    assert "find-order, attempt 2 of 4: failed, began after 8.9 s, took 5.1 s" in found.bars()
    assert "model call atlas-small of read-ticket: completed, began after 100 ms, took 2.1 s" in found.bars()
    assert found.ids("node-") == [
        "node-read-ticket",
        "node-find-order",
        "node-draft-answer",
        "node-send",
    ]
    links = {values.get("href") for tag, values in found.tags if tag == "a"}
    assert "/model-call?session=triage-91c0&id=triage-91c0%2Fcall-1" in links


def test_a_loop_is_folded_into_its_row_until_it_is_opened(studio: Studio):
    folded = elements(studio, "/session?id=repair-loop-22")
    assert "100 model calls (2 failed), 196 tool calls" in folded.text
    assert len(folded.ids("call-")) == 0
    opened = elements(studio, "/session?id=repair-loop-22&open=edit")
    assert len(opened.ids("call-")) == 100
    assert len(opened.ids("tool-")) == 196 + 2
    assert len(set(opened.ids())) == len(opened.ids())


def test_an_open_node_shows_the_results_of_its_own_tool_calls(studio: Studio):
    assert "184320" not in studio.get("/session?id=research-7f3a").text
    assert "184320" in studio.get("/session?id=research-7f3a&open=publish").text


def test_an_open_node_shows_its_steps_in_parts(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aaow_storage_studio._web.run_rows.MAX_OPEN_STEPS", 200)
    first = elements(studio, "/session?id=repair-loop-22&open=edit")
    assert "96 are left out below" in first.text
    second = elements(studio, "/session?id=repair-loop-22&open=edit&first=200")
    assert "200 are left out above" in second.text
    assert not {each for each in first.ids("call-") if each in second.ids("call-")}


def test_a_wait_is_cut_short_on_the_axis_unless_it_is_to_be_to_scale(studio: Studio):
    assert "2h 1m" in studio.get("/session?id=research-7f3a").text
    assert "cut short: 2h 1m" in studio.get("/session?id=research-7f3a").text
    assert "cut short:" not in studio.get("/session?id=research-7f3a&axis=linear").text


def test_what_it_waits_for_leads_to_the_decision(studio: Studio):
    found = elements(studio, "/session?id=refund-waiting-3")
    assert "Pay 129.00 EUR back for order 77-0031?" in found.text
    links = [values.get("href") or "" for tag, values in found.tags if tag == "a"]
    assert f"/approval?id={quote('refund-waiting-3/approval-3', safe='')}" in links


@pytest.mark.parametrize("session_id", ["empty-5", "odd-6", "lookup-0-18s", "answer-live-1"])
def test_a_run_of_any_kind_has_a_page(studio: Studio, session_id: str):
    for options in ("", "&open=no-such-node", "&raw=yes", "&axis=linear", "&calls=last", "&first=x"):
        elements(studio, f"/session?id={session_id}{options}")
        studio.json(f"/session.json?id={session_id}{options}")


def test_hostile_ids_and_texts_stay_texts(studio: Studio):
    found = elements(studio, f"/session?id={quote(HOSTILE[1])}&open={quote(HOSTILE[0])}&raw=yes")
    assert [values.get("src") for tag, values in found.tags if tag in {"script", "img", "iframe"}] == [
        "/static/vendor/htmx.min.js",
        "/static/vendor/hx-sse.min.js",
        "/static/studio.js",
    ]
    assert not [name for _, values in found.tags for name in values if name.startswith("on")]
    links = [values.get("href") or "" for _, values in found.tags]
    assert not [link for link in links if link.startswith("javascript")]
    assert len(found.ids("node-")) == len(HOSTILE)
    assert not [each for each in found.ids() if " " in each or len(each) > 80]


def test_the_stored_records_are_in_the_page_only_if_they_are_asked_for(studio: Studio):
    assert "It is right" not in studio.get("/session?id=triage-91c0").text
    assert studio.json("/session.json?id=triage-91c0")["raw"] is None
    raw = studio.json("/session.json?id=triage-91c0&raw=yes")["raw"]
    assert len(raw["llm_executions"]) == 2
    assert raw["session"]["workflow_snapshot"]["nodes"][0] == {"id": "read-ticket", "type": "llm"}
    assert "&#34;workflow_snapshot&#34;" in studio.get("/session?id=triage-91c0&raw=yes").text


def test_what_is_too_much_is_left_out_and_that_is_said(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    async def fill(storage: StorageAdapter) -> None:
        await runs.large(storage, now() - timedelta(hours=1), "large", nodes=40, calls=120)

    monkeypatch.setattr(run_reading, "MAX_CALLS", 100)
    monkeypatch.setattr(run_reading, "MAX_NODES", 30)
    studio = serve(fill)
    found = studio.json("/session.json?id=large")
    assert found["left_out"] == [
        "Only the first 100 model calls are shown, of more.",
        "Only the first 30 nodes are shown, of 40.",
    ]
    assert found["usage"]["executions"] == 120
    assert "Only the first 100 model calls are shown" in studio.get("/session?id=large").text
    last = studio.json("/session.json?id=large&calls=last")
    assert "Only the last 100 model calls are shown, of more." in last["left_out"]
    raw = studio.get("/session?id=large&raw=yes").text
    assert "Its calls are left out" in raw


def test_a_session_that_is_not_there_is_not_found(studio: Studio):
    assert studio.get("/session?id=nobody").status_code == 404
    assert studio.get("/session").status_code == 400


def test_the_page_is_the_same_on_each_store(serve: Serve, store_url: str):
    studio = serve(runs.fill, store=store_url)
    assert len(studio.json("/session.json?id=repair-loop-22&open=edit")["nodes"]) == 4
    assert "find-order" in studio.get("/session?id=triage-91c0").text
    assert studio.get(f"/session?id={quote(HOSTILE[1])}").status_code == 200


def test_a_store_without_streams_and_changes_has_the_page_too():
    async def ask() -> httpx2.Response:
        async with create_adapter("memory://", stream_events=False, changes=False) as storage:
            await runs.triage_failed(storage, now() - timedelta(minutes=5))
            transport = httpx2.ASGITransport(app=studio_app(storage))
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.get("/session?id=triage-91c0")

    with ThreadPoolExecutor() as threads:  # the browser has a loop in this one
        answer = threads.submit(asyncio.run, ask()).result()
    assert answer.status_code == 200
    assert "find-order" in answer.text
    assert "sse:connect" not in answer.text


def test_the_page_is_patched_while_the_run_goes_on(serve: Serve, page: Any):
    async def fill(storage: StorageAdapter) -> None:
        await runs.answer_live(storage, now() - timedelta(seconds=20))

    studio = serve(fill)
    page.set_viewport_size({"width": 1000, "height": 300})
    page.goto(f"{studio.url}/session?id=answer-live-1")
    page.locator("#of-node-answer > summary").click()
    page.evaluate("document.querySelector('#node-answer').wasHere = true; scrollTo(0, 220)")
    place = "document.querySelector('#node-answer').getBoundingClientRect().top"
    before = page.evaluate(place)
    assert page.evaluate("scrollY") > 100
    studio.do(runs.answer_goes_on)
    page.wait_for_selector("tr#node-check .status.running")
    assert page.evaluate("document.querySelector('#node-answer').wasHere") is True
    assert page.evaluate("document.querySelector('#of-node-answer').open") is True
    assert page.evaluate(place) == pytest.approx(before, abs=2)  # the row itself may be a pixel higher than before
    assert page.locator("#node-answer .status.completed").count() == 1
    studio.do(runs.answer_ends)
    page.wait_for_selector("h1 + .status.completed")
    assert page.evaluate("document.querySelector('#of-node-answer').open") is True
    assert page.locator("#run[hx-trigger*=every]").count() == 0


def test_a_hostile_run_does_nothing_in_the_browser(serve: Serve, page: Any):
    async def fill(storage: StorageAdapter) -> None:
        await runs.hostile(storage, now() - timedelta(minutes=1))

    studio = serve(fill)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(f"{studio.url}/session?id={quote(HOSTILE[1])}")

    async def touch(storage: StorageAdapter) -> None:
        state = NodeExecutionState(node_id="<b>bold</b>", status="running", started_at=now(), input=HOSTILE[0])
        await storage.update_node_state(HOSTILE[1], state.node_id, state)

    studio.do(touch)
    page.wait_for_selector("a.id:text-is('<b>bold</b>')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_call_is_reached_by_the_keyboard(studio: Studio, page: Any):
    page.goto(f"{studio.url}/session?id=triage-91c0")
    page.get_by_role("link", name="find-order, attempt 2 of 4").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**#node-find-order")
    assert page.get_by_role("row", name="get_order").count() == 4


def test_a_loop_is_opened_without_scripts(studio: Studio, chromium: Any):
    context = chromium.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(f"{studio.url}/session?id=repair-loop-22")
    opened.get_by_role("link", name="100 model calls").click()
    opened.wait_for_url("**open=edit#node-edit")
    assert opened.locator("tr.step").count() > 200
    context.close()


def test_a_node_that_waits_since_long_ago_leaves_room_for_what_was_done(serve: Serve):
    async def fill(storage: StorageAdapter) -> None:
        await runs.refund_waiting(storage, datetime(2026, 1, 1).astimezone())

    studio = serve(fill)
    assert "cut short" in studio.get("/session?id=refund-waiting-3").text
