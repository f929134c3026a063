"""The pages of requests for approval, and the decisions that forms on them make."""

import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from studio_serving import PATIENCE_S, Serve

from aaow_storage import ApprovalRequest, Session, StorageAdapter, StoredWorkflow, ValidationError, now
from aaow_storage_studio import StudioSettings

Fill = Callable[[StorageAdapter], Awaitable[None]]
DECIDING: dict[str, Any] = {"allow_decisions": True, "decides_as": "ada"}


def asking(id: str, minutes: float | None = None, **request: Any) -> ApprovalRequest:
    """Return a request that expires in so many minutes, or never."""
    given = {"context": {"question": f"May {id} go on?"}, "node_id": "pay", "type": "human_review", **request}
    expires_at = None if minutes is None else now() + timedelta(minutes=minutes)
    return ApprovalRequest(id=id, session_id="run", expires_at=expires_at, **given)


def with_requests(*requests: ApprovalRequest) -> Fill:
    async def fill(storage: StorageAdapter) -> None:
        await storage.save_workflow(StoredWorkflow(id="refunds", name="Refunds", version="3", definition={}))
        waiting = Session(
            id="run", workflow_id="refunds", workflow_snapshot={}, status="waiting_for_human_review", metadata={}
        )
        await storage.create_session(waiting)
        for request in requests:
            await storage.create_approval_request(request)

    return fill


def ids_of(answer: Any) -> list[str]:
    return [each["request"]["id"] for each in answer["records"]]


def test_what_expires_next_comes_first_and_what_never_expires_last(serve: Serve, store_url: str):
    requests = (asking("never-1"), asking("late", 90), asking("soon", 2), asking("gone", -1), asking("never-2"))
    studio = serve(with_requests(*requests), store=store_url)
    answer = studio.json("/approvals.json")
    assert ids_of(answer) == ["soon", "late", "never-1", "never-2"]
    assert answer["pending"] == 4
    assert ids_of(studio.json("/approvals.json?status=expired")) == ["gone"]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6])
def test_pages_of_any_length_have_each_pending_request_once(serve: Serve, length: int):
    expiring = [asking(f"expiring-{place}", 10 + place) for place in range(3)]
    studio = serve(with_requests(*expiring, *(asking(f"never-{place}") for place in range(3))))
    found, after, pages = [], "", 0
    while after is not None:
        answer = studio.json(f"/approvals.json?limit={length}&after={after}")
        found += ids_of(answer)
        after, pages = answer["next"], pages + 1
    assert found == [*(f"expiring-{place}" for place in range(3)), *(f"never-{place}" for place in range(3))]
    assert pages == -(-6 // length)


def test_a_request_says_what_it_asks_and_what_waits_for_it(serve: Serve):
    context = {"message": "Pay it back?", "amount": "12 EUR", "order": {"lines": [1, 2]}}
    studio = serve(with_requests(asking("one", 4, context=context)))
    (asked,) = studio.json("/approvals.json")["records"]
    assert asked["session"] == {"id": "run", "status": "waiting_for_human_review"}
    assert asked["workflow"] == {"id": "refunds", "name": "Refunds", "version": "3"}
    page = studio.get("/approvals").text
    for text in ("Pay it back?", "12 EUR", "&#34;lines&#34;", "/session?id=run", "/workflow?id=refunds", "expires in"):
        assert text in page


def test_the_title_has_the_count_up_to_a_bound(serve: Serve):
    studio = serve(with_requests(*(asking(f"r{place}") for place in range(3))))
    assert "<title>(3) Approvals ·" in studio.get("/approvals").text

    async def ask_more(storage: StorageAdapter) -> None:
        async with storage.transaction() as transaction:
            for place in range(97):
                await transaction.create_approval_request(asking(f"more-{place}"))

    studio.do(ask_more)
    assert "<title>(99+) Approvals ·" in studio.get("/approvals").text


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_stored_with_its_notes_and_leads_to_the_request(
    serve: Serve, store_url: str, decision: str, status: str
):
    studio = serve(with_requests(asking("one", 5)), store=store_url, **DECIDING)
    answer = studio.post("/approval/decide", {"id": "one", "decision": decision, "notes": "well\r\nthen", "by": "eve"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/approval?id=one")
    stored = studio.do(lambda storage: storage.get_approval_request("one"))
    assert (stored.status, stored.resolved_by, stored.resolution_notes) == (status, "ada", "well\nthen")
    session = studio.do(lambda storage: storage.get_session("run"))
    assert session.status == "waiting_for_human_review"  # its program waits for the decision, and goes on
    assert ids_of(studio.json(f"/approvals.json?status={status}")) == ["one"]
    assert "well\nthen" in studio.get("/approval?id=one").text


def test_a_decision_and_the_status_of_the_session_are_one_step(serve: Serve):
    statuses = {"approved_status": "queued", "rejected_status": "failed"}
    studio = serve(with_requests(asking("one"), asking("two")), **DECIDING, **statuses)
    studio.post("/approval/decide", {"id": "one", "decision": "approve"})
    assert studio.do(lambda storage: storage.get_session("run")).status == "queued"
    studio.post("/approval/decide", {"id": "two", "decision": "reject"})
    assert studio.do(lambda storage: storage.get_session("run")).status == "failed"
    with pytest.raises(ValidationError, match="has to be one of queued"):
        StudioSettings(approved_status="done")  # type: ignore[arg-type]  # that is the point


def test_who_is_late_is_told_who_decided_when_and_with_which_notes(serve: Serve):
    studio = serve(with_requests(asking("one")), **DECIDING)
    studio.do(lambda storage: storage.reject_request("one", "grace", "not today"))
    late = studio.post("/approval/decide", {"id": "one", "decision": "approve", "notes": "my own notes"})
    assert late.status_code == 409
    for text in ("Your decision was not made", "<b>grace</b>", "not today", "my own notes", "<time datetime="):
        assert text in late.text
    assert 'hx-sse:connect="' not in late.text
    assert studio.do(lambda storage: storage.get_approval_request("one")).resolved_by == "grace"


def test_a_request_that_has_expired_is_not_decided(serve: Serve):
    studio = serve(with_requests(asking("one", -1)), **DECIDING)
    late = studio.post("/approval/decide", {"id": "one", "decision": "approve"})
    assert late.status_code == 409
    assert "the request expired" in late.text
    page = studio.get("/approval?id=one").text
    assert "nobody decided" in page
    assert "<form class=" not in page.partition("<main")[2]


def test_of_decisions_at_once_one_is_stored_and_the_others_are_told(serve: Serve, store_url: str):
    studio = serve(with_requests(asking("one")), store=store_url, **DECIDING)
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(
                lambda place: studio.post(
                    "/approval/decide",
                    {"id": "one", "decision": ("approve", "reject")[place % 2], "notes": f"by {place}"},
                ),
                range(6),
            )
        )
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409, 409, 409]
    stored = studio.do(lambda storage: storage.get_approval_request("one"))
    winner = [answer.status_code for answer in answers].index(303)
    assert stored.resolution_notes == f"by {winner}"
    assert all(f"by {winner}" in answer.text for answer in answers if answer.status_code == 409)


@pytest.mark.parametrize(
    ("form", "status", "problem"),
    [
        ({"id": "none", "decision": "approve"}, 404, "no approval request"),
        ({"id": "one", "decision": "maybe"}, 400, "approve or reject"),
        ({"id": "one"}, 400, "approve or reject"),
        ({"decision": "approve"}, 400, "id"),
        ({"id": "one", "decision": "approve", "notes": "x" * 10_001}, 400, "at most 10000"),
        ({"id": "one", "decision": "approve", "notes": "x" * 300_000}, 413, "longer than"),
        ({"id": "one", "decision": "approve", "notes": "a\0b"}, 400, "NUL"),
        ({f"f{place}": "x" for place in range(30)}, 400, "cannot be read"),
    ],
)
def test_a_wrong_form_decides_nothing(serve: Serve, form: dict[str, str], status: int, problem: str):
    studio = serve(with_requests(asking("one")), **DECIDING)
    answer = studio.post("/approval/decide", form)
    assert (answer.status_code, problem in answer.text) == (status, True), answer.text
    assert studio.do(lambda storage: storage.get_approval_request("one")).status == "pending"


def test_ids_and_notes_may_be_any_text(serve: Serve):
    strange = ' <b>"line\none"&amp; %2F\N{GRINNING FACE} '
    studio = serve(with_requests(asking(strange)), **DECIDING)
    answer = studio.post(f"/approval/decide?{urlencode({'id': strange})}", {"decision": "approve", "notes": strange})
    assert answer.status_code == 303
    assert studio.get(answer.headers["location"]).status_code == 200
    assert studio.do(lambda storage: storage.get_approval_request(strange)).resolution_notes == strange.strip()


def test_a_studio_that_only_shows_says_how_to_decide(serve: Serve):
    studio = serve(with_requests(asking("one")))
    refused = studio.post("/approval/decide", {"id": "one", "decision": "approve"})
    assert refused.status_code == 403
    assert "--allow-decisions" in refused.text
    assert studio.do(lambda storage: storage.get_approval_request("one")).status == "pending"
    for path in ("/approvals", "/approval?id=one"):
        page = studio.get(path).text
        assert "--allow-decisions" in page
        assert 'name="decision"' not in page


def test_a_person_decides_in_the_browser(serve: Serve, page: Any):
    studio = serve(with_requests(asking("one\ntwo", 5), asking("other")), **DECIDING)
    page.goto(f"{studio.url}/approvals")
    assert page.title().startswith("(2) Approvals")
    page.get_by_label("Notes").first.fill("first line\nsecond line")
    page.get_by_role("button", name="Approve").first.click()
    page.wait_for_url("**/approval?id=*")
    assert "Approved by ada" in page.locator("main").inner_text()
    stored = studio.do(lambda storage: storage.get_approval_request("one\ntwo"))
    assert stored.resolution_notes == "first line\nsecond line"
    page.reload()
    assert page.locator("form.decide").count() == 0


def test_decisions_need_no_scripts(serve: Serve, chromium: Any):
    studio = serve(with_requests(asking("one", 5)), **DECIDING)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{studio.url}/approvals")
    page.get_by_role("button", name="Reject").click()
    page.wait_for_url("**/approval?id=one")
    context.close()
    assert studio.do(lambda storage: storage.get_approval_request("one")).status == "rejected"


def test_two_browsers_decide_and_the_second_is_told_who_was_first(serve: Serve, chromium: Any):
    studio = serve(with_requests(asking("one")), **DECIDING)
    contexts = [chromium.new_context(java_script_enabled=False) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for each, notes in zip(pages, ("the first", "the second"), strict=True):
        each.goto(f"{studio.url}/approval?id=one")
        each.get_by_label("Notes").fill(notes)
    pages[0].get_by_role("button", name="Approve").click()
    pages[0].wait_for_url("**/approval?id=one")
    pages[1].get_by_role("button", name="Reject").click()
    alert = pages[1].get_by_role("alert").inner_text()
    assert "approved already by ada" in alert
    assert "the second" in alert
    for context in contexts:
        context.close()


def wait_for_title(page: Any, beginning: str) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page).to_have_title(re.compile(re.escape(beginning)), timeout=PATIENCE_S * 1000)


def test_news_keep_what_is_typed_and_the_title_counts_them(serve: Serve, page: Any):
    studio = serve(with_requests(asking("one", 30), asking("other")), **DECIDING)
    page.goto(f"{studio.url}/approvals")
    notes = page.get_by_label("Notes").first
    notes.click()
    page.keyboard.type("half a sen")
    studio.do(lambda storage: storage.create_approval_request(asking("urgent", 3)))
    wait_for_title(page, "(3) ")
    assert "urgent" in page.locator(".asks li").first.inner_text()
    page.keyboard.type("tence")
    typed = page.locator("li", has_text="May one go on?").locator("textarea")
    assert typed.input_value() == "half a sentence"
    assert typed.evaluate("each => each === document.activeElement")

    studio.do(lambda storage: storage.approve_request("other", "grace"))
    wait_for_title(page, "(2) ")
    studio.do(lambda storage: storage.approve_request("one", "grace"))
    page.wait_for_selector("p.overtaken:not([hidden])")
    assert typed.input_value() == "half a sentence"


def test_the_time_left_runs_down_and_what_expires_leaves_the_list(serve: Serve, page: Any):
    studio = serve(with_requests(asking("one", 0.04), asking("other", 5)), **DECIDING)
    page.goto(f"{studio.url}/approvals")
    first = page.locator("time[data-countdown]").first
    assert "expires in" in first.inner_text()
    page.wait_for_selector(".asks li:only-child")
    wait_for_title(page, "(1) ")
