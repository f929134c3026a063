"""What two how-to guides show works where a reader would use it: under a web server, and under pytest."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

HOW_TO = Path(__file__).parents[2] / "packages/aaow-storage/docs/how-to"


def blocks_of(page: str) -> str:
    """Return the Python of a page."""
    return "\n\n".join(block.parsed for block in Sybil([PythonCodeBlockParser()]).parse(HOW_TO / page))


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


async def asked(app: Any, method: str, path: str, body: object, state: dict[str, Any]) -> tuple[int, Any]:
    """Send a request to an ASGI application, and return the status and the decoded answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "state": state}
    await app(scope | {"root_path": "", "scheme": "http", "server": ("test", 80)}, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


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
