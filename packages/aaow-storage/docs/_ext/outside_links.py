"""Replace links to files of the repository that are not on the site by the paths of these files."""

import re
from pathlib import Path

from sphinx.application import Sphinx

_CODE_OR_LINK = re.compile(
    r"^ *```.*?^ *```$"
    r"|`[^`\n]*`(?!\])"
    r"|\[(?P<text>[^\]]+)\]\((?P<target>\.\.?/[^)\s#]+)(?:#[^)]*)?\)",
    re.MULTILINE | re.DOTALL,
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", name_outside_files)
    return {"parallel_read_safe": True}


def name_outside_files(app: Sphinx, page: str, source: list[str]) -> None:
    """Write `text (in the repository: path)` for a link that leads out of the documentation's folder."""
    docs = Path(app.srcdir)
    root = docs.parents[2]
    folder = (docs / page).parent

    def replacement(match: re.Match[str]) -> str:
        target = match["target"] and (folder / match["target"]).resolve()
        if not target or target.is_relative_to(docs):
            return match[0]
        path = f"`{target.relative_to(root).as_posix()}`"
        text = match["text"].replace("\n", " ")
        return text if text == path else f"{text} ({path})"

    source[0] = _CODE_OR_LINK.sub(replacement, source[0])
