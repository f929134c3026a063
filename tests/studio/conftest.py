"""A studio that serves a store in this process, asked without a browser, and in a real one."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aaow_storage_postgresql.testing import skipped_where_missing, temporary_database
from aaow_storage_studio import StudioSettings

for folder in (Path(__file__).parent, Path(__file__).parent.parent / "tools"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

import demo_store  # noqa: E402 - it is in a folder of the lines before
from studio_serving import PATIENCE_S, Fill, Serve, Studio, serving  # noqa: E402 - as above


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that serves a filled store: the demonstration on SQLite, unless it is told otherwise."""
    with ExitStack() as open_studios:

        def serve(
            fill: Fill = demo_store.fill,
            *,
            store: str | None = None,
            **settings: Any,
        ) -> Studio:
            where = store or f"file:{tmp_path / 'store.db'}"
            return open_studios.enter_context(serving(where, StudioSettings(**settings), fill))

        yield serve


@pytest.fixture
def studio(serve: Serve) -> Studio:
    """Serve the demonstration on SQLite, read-only."""
    return serve()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of an empty store, on each server and file that has a schema of its own."""
    if request.param == "sqlite":
        yield f"file:{tmp_path / 'store.db'}"
        return
    with skipped_where_missing(), temporary_database() as url:
        yield url


@pytest.fixture(scope="session")
def started_chromium() -> Iterator[tuple[Any, Any]]:
    """Start Chromium, without a window; yield it, and the event loop that Playwright keeps running in this thread."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed, and here the tests of pages have to run")
        pytest.skip("needs Chromium: apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    starting = playwright.sync_playwright()
    browser = starting.start().chromium.launch(executable_path=path, args=["--no-sandbox"])
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    yield browser, loop
    asyncio._set_running_loop(loop)
    browser.close()
    starting.__exit__()


@pytest.fixture
def chromium(started_chromium: tuple[Any, Any]) -> Iterator[Any]:
    """Return Chromium.

    Between tests, the loop of Playwright is suspended, and not known as the running one: others run their own then.
    """
    browser, loop = started_chromium
    asyncio._set_running_loop(loop)
    yield browser
    asyncio._set_running_loop(None)


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """Open a page in a browser of its own; what its scripts or its policy refuse fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_S * 1000)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert problems == []
