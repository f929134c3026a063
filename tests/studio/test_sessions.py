"""The page of sessions."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

from studio_serving import Serve, Studio

from aaow_storage import Session, StorageAdapter, now


async def add_many(storage: StorageAdapter) -> None:
    for number in range(120):
        created_at = now() - timedelta(minutes=number)
        await storage.create_session(
            Session(id=f"run-{number:03}", workflow_id=None, workflow_snapshot={}, created_at=created_at)
        )


def test_sessions_come_newest_first_with_what_they_used(studio: Studio):
    found = studio.json("/sessions.json")
    assert [each["id"] for each in found["records"]] == [f"session-{number}" for number in (4, 3, 2, 1, 0)]
    assert found["usage"]["session-1"]["failed"] == 1
    assert "session-3" not in found["usage"]


def test_pages_follow_one_another_without_a_count(serve: Serve):
    studio = serve(add_many)
    found, after = [], ""
    while after is not None:
        answer = studio.json(f"/sessions.json?after={after}")
        found += [each["id"] for each in answer["records"]]
        after = answer["next"]
        assert answer["count"] is None
    assert found == [f"run-{number:03}" for number in range(120)]


def test_a_filter_is_in_the_url_and_what_is_wrong_with_it_is_said_beside_it(studio: Studio):
    assert [each["id"] for each in studio.json("/sessions.json?q=metadata.user=ada")["records"]] == [
        "session-3",
        "session-1",
    ]
    wrong = studio.get("/sessions?q=colour=red")
    assert wrong.status_code == 200
    assert "colour" in wrong.text
    assert 'role="alert"' in wrong.text


def test_the_count_is_made_only_if_it_is_asked_for(studio: Studio):
    assert studio.json("/sessions.json?count=yes&status=completed")["count"] == 2


def test_a_list_is_patched_while_another_writes(studio: Studio, page: Any):
    page.goto(f"{studio.url}/sessions")
    page.wait_for_selector("text=session-4")
    studio.do(lambda storage: storage.create_session(Session(id="new-one", workflow_id=None, workflow_snapshot={})))
    page.wait_for_selector("a:text-is('new-one')")
    assert page.locator("tbody tr").count() == 6


ANOTHER_PROCESS = """
import sys
from aaow_storage import Session, open_sync
with open_sync(sys.argv[1]) as storage:
    storage.create_session(Session(id="from-elsewhere", workflow_id=None, workflow_snapshot={}))
"""


def test_a_list_is_patched_while_another_process_writes(serve: Serve, page: Any, store_url: str):
    studio = serve(store=store_url)
    page.goto(f"{studio.url}/sessions")
    page.wait_for_selector("text=session-4")
    subprocess.run([sys.executable, "-c", ANOTHER_PROCESS, store_url], check=True)
    page.wait_for_selector("a:text-is('from-elsewhere')")
    assert page.locator("tbody tr").count() == 6


def test_a_list_is_used_by_the_keyboard_alone(studio: Studio, page: Any):
    page.goto(f"{studio.url}/sessions")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == "session-3"
    page.keyboard.press("Enter")
    page.wait_for_url("**/session?id=session-3")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/approvals")
    page.keyboard.press("/")
    page.keyboard.type("refund")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?text=refund")
