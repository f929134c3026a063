"""What some how-to guides show works where a reader would use it: under a web server, and under pytest."""

import asyncio
import json
import os
import subprocess
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from aaow_storage import ApprovalRequest, Session, StorageAdapter, StreamEvent

HOW_TO = Path(__file__).parents[2] / "packages/aaow-storage/docs/how-to"


def blocks_of(page: str, count: int | None = None) -> str:
    """Return the Python of a page, or of its first blocks."""
    return "\n\n".join([block.parsed for block in Sybil([PythonCodeBlockParser()]).parse(HOW_TO / page)][:count])


def test_the_tests_on_the_page_about_testing_pass(tmp_path: Path):
    (tmp_path / "test_page.py").write_text(
        f"""{blocks_of("test-your-application.md")}

@pytest.mark.asyncio
async def test_the_store_of_each_kind_is_empty(storage_of_each_kind):
    assert await storage_of_each_kind.count_sessions() == 0
"""
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    ]
    pytest_run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "5 passed" in pytest_run.stdout, pytest_run.stdout + pytest_run.stderr


async def asked(
    app: Any, method: str, target: str, body: object, state: dict[str, Any], **headers: str
) -> tuple[int, Any]:
    """Send a request to an ASGI application, and return the status and the answer, decoded if it is JSON."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path, _, query = target.partition("?")
    sent_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": sent_headers, "query_string": query.encode()}
    scope["state"] = state
    await app(scope | {"root_path": "", "scheme": "http", "server": ("test", 80)}, receive, send)
    answer = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    is_json = (b"content-type", b"application/json") in sent[0]["headers"]
    return sent[0]["status"], json.loads(answer) if is_json else answer


@pytest.mark.asyncio
async def test_the_web_application_stores_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, "DATABASE_URL", f"file:{tmp_path}/web.db")
    page: dict[str, Any] = {}
    exec(blocks_of("web-application.md"), page)
    app = page["app"]
    async with app.router.lifespan_context(app) as state:
        assert await asked(app, "GET", "/sessions", None, dict(state)) == (200, [])
        status, created = await asked(app, "POST", "/sessions", {"definition": {"nodes": []}}, dict(state))
        assert status == 201
        listed = await asked(app, "GET", "/sessions", None, dict(state))
        assert listed == (200, [{"id": created["id"], "status": "running"}])
        status, refused = await asked(app, "POST", "/approvals/nowhere/approve", None, dict(state))
        assert (status, "nowhere" in refused["error"]) == (404, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("blocks", [1, 2], ids=["fastapi", "starlette"])
async def test_the_studio_that_an_application_mounts_is_shown_to_its_staff_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "STAFF_KEY", "of-the-staff")
    page: dict[str, Any] = {}
    exec(blocks_of("../studio.md", blocks), page)
    app, session = page["app"], Session(workflow_id=None, workflow_snapshot={}, metadata={"key": "sk-1234"})
    async with app.router.lifespan_context(app):
        await page["storage"].create_session(session)
        address = f"/studio/session.json?id={session.id}"
        known = {"host": "agents.example.com", "cookie": "staff=of-the-staff"}
        status, shown = await asked(app, "GET", address, None, {}, **known)
        assert (status, shown["session"]["metadata"]) == (200, {"key": "[redacted]"})
        assert await asked(app, "GET", address, None, {}, host=known["host"]) == (401, "sign in first")
        status, _ = await asked(app, "GET", address, None, {}, host="elsewhere.example", cookie=known["cookie"])
        assert status == 421


class Listener:
    """A client that reads server-sent events of an ASGI application, and goes away once it has enough."""

    def __init__(self, app: Any, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state

    async def events(self, path: str, count: int, last_event_id: str | None = None) -> list[dict[str, str]]:
        """Return the first `count` events of a path; a connection that breaks before is an error."""
        got: list[dict[str, str]] = []
        has_enough = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await has_enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            for block in message.get("body", b"").decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if fields:
                    got.append(fields)
            if len(got) >= count:
                has_enough.set()

        headers = [] if last_event_id is None else [(b"last-event-id", last_event_id.encode())]
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}
        scope |= {"root_path": "", "scheme": "http", "server": ("test", 80), "state": self._state}
        await asyncio.wait_for(self._app(scope, receive, send), timeout=30)
        return got[:count]


@pytest_asyncio.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    """The application of the page about live views, and the state that its lifespan makes."""
    monkeypatch.setitem(os.environ, "DATABASE_URL", f"file:{tmp_path}/live.db")
    page: dict[str, Any] = {"__name__": "live"}
    monkeypatch.setitem(sys.modules, "live", types.ModuleType("live"))
    exec(blocks_of("live.md"), page)
    app = page["app"]
    async with app.router.lifespan_context(app) as state:
        yield app, dict(state)


@pytest.mark.asyncio
async def test_a_browser_that_comes_back_gets_the_events_after_the_last_that_it_had(
    live: tuple[Any, dict[str, Any]],
):
    app, state = live
    storage: StorageAdapter = state["storage"]
    await storage.save_stream_events([StreamEvent(stream_id="answer", node_id="draft", data={"n": n}) for n in (1, 2)])
    listener = Listener(app, state)
    first = await listener.events("/streams/answer", 1)
    assert (first[0]["id"], json.loads(first[0]["data"])) == ("1", {"n": 1})
    rest = asyncio.create_task(listener.events("/streams/answer", 2, last_event_id="1"))
    await storage.save_stream_event(StreamEvent(stream_id="answer", node_id="draft", data={"n": 3}))
    assert [event["id"] for event in await rest] == ["2", "3"]


@pytest.mark.asyncio
async def test_a_page_of_sessions_has_the_cursor_of_the_next(live: tuple[Any, dict[str, Any]]):
    app, state = live
    for _ in range(21):
        await state["storage"].create_session(Session(workflow_id=None, workflow_snapshot={}))
    status, page = await asked(app, "GET", "/sessions", None, state)
    assert (status, len(page["sessions"])) == (200, 20)
    status, rest = await asked(app, "GET", f"/sessions?after={page['after']}", None, state)
    assert (status, len(rest["sessions"]), rest["after"]) == (200, 1, None)
    status, refused = await asked(app, "GET", "/sessions?after=rubbish", None, state)
    assert (status, refused["is_retryable"]) == (422, False)


@pytest.mark.asyncio
async def test_who_waits_for_a_decision_gets_it_when_another_page_decides(live: tuple[Any, dict[str, Any]]):
    app, state = live
    storage: StorageAdapter = state["storage"]
    session = Session(workflow_id=None, workflow_snapshot={}, status="waiting_for_human_review")
    await storage.create_session(session)
    request = ApprovalRequest(session_id=session.id, node_id="review", type="human_review", context={})
    await storage.create_approval_request(request)
    waiting = asyncio.create_task(asked(app, "GET", f"/approvals/{request.id}", None, state))
    status, _ = await asked(app, "POST", f"/approvals/{request.id}/approve?by=ada", None, state)
    assert status == 200
    status, decided = await waiting
    assert (status, decided["resolved_by"]) == (200, "ada")
    assert (await storage.get_session(session.id)).status == "running"


@pytest.mark.asyncio
async def test_a_page_that_follows_changes_hears_of_each_and_of_those_that_were_pruned(
    live: tuple[Any, dict[str, Any]],
):
    app, state = live
    storage: StorageAdapter = state["storage"]
    await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
    first = await storage.last_change()
    assert first is not None
    start = first.position
    session = Session(workflow_id=None, workflow_snapshot={})
    await storage.create_session(session)
    listener = Listener(app, state)
    (created,) = await listener.events("/changes", 1, last_event_id=start)
    assert (created["event"], json.loads(created["data"])["id"]) == ("session", session.id)
    await storage.update_session(session.id, status="completed")
    (updated,) = await listener.events("/changes", 1, last_event_id=created["id"])
    assert json.loads(updated["data"])["action"] == "updated"
    await storage.prune_changes(updated["id"])
    (lost,) = await listener.events("/changes", 1, last_event_id=start)
    assert lost["event"] == "lost"
