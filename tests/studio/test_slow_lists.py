"""Lists that no index helps: they are given up in time, and are not read again by themselves."""

import asyncio
from typing import Any

import pytest
from studio_serving import Studio

from aaow_storage_studio._pages import search, streams
from aaow_storage_studio._web import paging

LISTS = {
    "/sessions": "/sessions.json",
    "/model-calls": "/model-calls.json",
    "/budgets?status=active": "/budgets.json?status=active",
    "/workflows": "/workflows.json",
    "/approvals": "/approvals.json",
}


def test_a_list_that_takes_too_long_is_given_up_and_says_what_to_do(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paging, "PATIENCE_S", 0.0)
    for page, its_json in LISTS.items():
        answer = studio.json(its_json)
        assert answer["problem"].startswith("was given up after 0 s")
        assert (answer["records"], answer["next"]) == ([], None)
        assert 'role="alert"' in studio.get(page).text


def test_a_count_that_takes_too_long_is_given_up_and_that_is_said(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    async def no_end(*_: Any) -> int:
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(type(studio.storage), "count_sessions", no_end)
    monkeypatch.setattr(paging, "PATIENCE_S", 0.5)
    assert "counting them took too long" in studio.get("/sessions?count=yes").text


def test_a_slow_list_is_not_read_again_by_itself_and_says_so(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    paths = ["/sessions", "/model-calls", "/budgets"]
    assert all("hx-sse:connect" in studio.get(path).text for path in paths)
    monkeypatch.setattr(paging, "SLOW_S", -1.0)
    for slow in [studio.get(path).text for path in paths]:
        assert "hx-sse:connect" not in slow
        assert "is not read again by itself" in slow


def test_news_do_not_count_again(studio: Studio):
    page = studio.get("/sessions?count=yes&status=completed").text
    assert 'hx-get="/sessions?status=completed"' in page


def test_a_search_and_a_list_of_streams_are_given_up_too(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    for module, page in ((search, "/search?text=order"), (streams, "/streams?begins=s")):
        monkeypatch.setattr(module, "PATIENCE_S", 0.0)
        path, _, query = page.partition("?")
        assert studio.json(f"{path}.json?{query}")["problem"].startswith("was given up after 0 s")
        assert 'role="alert"' in studio.get(page).text
