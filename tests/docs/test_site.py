"""The site that `nox -s docs` has built needs no network, and its navigation reaches every page."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

SITE = os.environ.get("SITE")

pytestmark = pytest.mark.skipif(not SITE, reason="the variable SITE, set by `nox -s docs`, names no built site")


def pages() -> list[Path]:
    return sorted(Path(SITE or "").rglob("*.html"))


def test_no_page_loads_anything_from_the_network():
    remote = {
        (page.name, url) for page in pages() for url in Loads.of(page.read_text()) if url.startswith(("http", "//"))
    }
    assert pages()
    assert not remote


def test_no_stylesheet_loads_anything_from_the_network():
    sheets = sorted(Path(SITE or "").rglob("*.css"))
    loads = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")
    assert sheets
    assert [sheet.name for sheet in sheets if loads.search(sheet.read_text())] == []


def test_a_picture_leads_to_itself_in_full_size():
    text = (Path(SITE or "") / "studio.html").read_text()
    pictures = re.findall(r'<img [^>]*src="(_images/[^"]+\.png)"', text)
    assert pictures
    assert [each for each in pictures if f'href="{each}"' not in text] == []


def test_every_page_is_in_the_navigation_of_the_start_page():
    start = (Path(SITE or "") / "index.html").read_text()
    generated = {"genindex.html", "py-modindex.html", "search.html", "index.html"}
    paths = {page.relative_to(SITE or "").as_posix() for page in pages()} - generated
    assert {path for path in paths if f'href="{path}"' not in start} == set()


class Loads(HTMLParser):
    """Collects the addresses that a browser loads when it shows a page; a link that is only clicked is none."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value for name, value in attrs if value and (name == "src" or (tag == "link" and name == "href"))]

    @classmethod
    def of(cls, page: str) -> list[str]:
        parser = cls()
        parser.feed(page)
        return parser.urls
