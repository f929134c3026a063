"""What holds for every page, in a real browser: accessible, at every width, in both themes, and on its own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import runs
from every_page import ADDRESSES
from studio_serving import Studio, serving

import aaow_storage_studio
from aaow_storage_studio import StudioSettings
from aaow_storage_studio._security.response_headers import HEADERS

axe_playwright = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe: pip install axe-playwright-python"
)
every_page = pytest.mark.parametrize("address", ADDRESSES)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    store = f"file:{tmp_path_factory.mktemp('studio') / 'runs.db'}"
    settings = StudioSettings(allow_decisions=True, decides_as="ada", store_name="runs.db")
    with serving(store, settings, runs.fill) as serving_studio:
        yield serving_studio


@pytest.mark.slow  # a second each
@every_page
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(studio: Studio, page: Any, address: str, theme: str):
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    assert page.goto(f"{studio.url}{address}").status == 200
    found = axe_playwright.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.slow  # as above
@every_page
def test_a_page_fits_every_width_and_asks_nobody_else_for_anything(studio: Studio, page: Any, address: str):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for width in (360, 768, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{studio.url}{address}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [url for url in asked if not url.startswith(f"{studio.url}/")] == []


@every_page
def test_a_page_has_a_title_one_heading_and_the_headers_that_keep_it_safe(studio: Studio, address: str):
    answer = studio.get(address)
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    assert "<title>Studio" not in answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert answer.headers["Cache-Control"] == "no-store"
    assert " style=" not in answer.text
    assert " onclick" not in answer.text


@every_page
def test_the_json_of_a_page_has_the_number_of_its_schema(studio: Studio, address: str):
    path, _, query = address.partition("?")
    assert studio.json(f"{path}.json?{query}")["schema"] == 1


@every_page
def test_everything_that_can_be_used_is_reached_by_the_keyboard(studio: Studio, page: Any, address: str):
    page.goto(f"{studio.url}{address}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_store_with_nothing_in_it_has_every_page_of_a_list(tmp_path: Path):
    async def leave_empty(_: Any) -> None: ...

    with serving(f"file:{tmp_path / 'empty.db'}", StudioSettings(), leave_empty) as empty:
        for address in ADDRESSES:
            if "?" not in address and address not in {"/model-call", "/approval", "/budget", "/stream"}:
                assert empty.get(address).status_code == 200, address


def test_vendored_scripts_are_those_that_npm_has():
    folder = Path(aaow_storage_studio.__file__).parent / "static" / "vendor"
    digests = dict(line.split()[::-1] for line in (folder / "DIGESTS.sha256").read_text().splitlines())
    assert {path.name for path in folder.glob("*.js")} == set(digests)
    for name, digest in digests.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "Zero-Clause BSD" in (folder / "LICENSES.txt").read_text()
