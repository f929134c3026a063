"""Build the site's navigation from the links of a page: one group for each of its second-level headings.

A page that lists other pages (`index.md`, `decisions/README.md`) needs no directive of Sphinx, which a forge would show
as code.
"""

import re

from sphinx.application import Sphinx

LISTS = {"index", "decisions/README"}
GENERATED = {"Reference": ["api/index"]}  # pages that only the site has, by the heading of their group

_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w./-]+)\.md\)")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", add_navigation)
    return {"parallel_read_safe": True}


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Append a hidden table of contents for each group of links to a page that lists others."""
    del app
    if page in LISTS:
        source[0] += "".join(_table_of_contents(caption, pages) for caption, pages in groups_of(source[0]))


def groups_of(text: str) -> list[tuple[str, list[str]]]:
    """Return the pages that a text links to in its own folder and below, grouped by heading; "" before the first."""
    parts = ["", *_HEADING.split(text)]
    groups = []
    for caption, body in zip(parts[::2], parts[1::2], strict=True):
        pages = [link for link in _LINK.findall(body) if not link.startswith(".")]
        pages += GENERATED.get(caption, [])
        if pages:
            groups.append((caption, list(dict.fromkeys(pages))))
    return groups


def _table_of_contents(caption: str, pages: list[str]) -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["\n\n```{toctree}", *options, "", *pages, "```", ""])
