"""The pages of `--help`: paragraphs and two columns, as wide as the terminal, at most as wide as a page."""

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

PAGE_COLUMNS = 100
MAX_LABEL = 26
"""How wide the names of options are at most that have their description beside them."""


class HelpPages:
    """Renders the parts of a page of help, which cyclopts makes of a command and its parameters."""

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """Print the first line of the page."""
        self._print(console, f"Usage: {_plain(usage).strip()}")

    def render_description(self, console: "Console", options: "ConsoleOptions", description: Any) -> None:
        """Print what the command does."""
        for paragraph in paragraphs_of(_plain(description), _width(console)):
            self._print(console, "")
            self._print(console, paragraph)

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Print a group of commands or options."""
        entries = [(label_of(entry), description_of(entry)) for entry in panel.entries]
        if not entries:
            return
        self._print(console, "")
        self._print(console, f"{_plain(panel.title)}:", style="bold")
        beside = min(MAX_LABEL, max(len(label) for label, _ in entries))
        for label, description in entries:
            for line in _entry_lines(label, description, beside, _width(console)):
                self._print(console, line)

    @staticmethod
    def _print(console: "Console", text: str, style: str | None = None) -> None:
        console.print(text, style=style, soft_wrap=True)


def paragraphs_of(text: str, width: int) -> "Iterator[str]":
    """Yield the paragraphs of a text, each wrapped to the width; what is indented keeps its lines."""
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith("    "):
            yield paragraph.rstrip()
        elif paragraph.strip():
            yield "\n".join(_wrapped(" ".join(paragraph.split()), width))


def label_of(entry: "HelpEntry") -> str:
    """Return the names of an option or argument with what follows it, or the name of a command."""
    if entry.positional_label:
        return entry.positional_label
    names = ", ".join((*entry.positive_shorts, *entry.positive_names))
    return f"{names} {entry.metavar}" if entry.metavar else names


def description_of(entry: "HelpEntry") -> str:
    """Return what an entry is for, with its default."""
    text = " ".join(_plain(entry.description).split())
    if entry.choices:
        text += f" One of {', '.join(map(str, entry.choices))}."
    if entry.default is not None:
        text += f" [default: {entry.default}]"
    return text.strip()


def _entry_lines(label: str, description: str, beside: int, width: int) -> "Iterator[str]":
    indent = " " * (beside + 4)
    lines = _wrapped(description, max(20, width - len(indent))) or [""]
    if len(label) > beside:
        yield f"  {label}"
    else:
        yield f"  {label:{beside}}  {lines.pop(0)}".rstrip()
    yield from (f"{indent}{line}" for line in lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _width(console: "Console") -> int:
    return min(console.width, PAGE_COLUMNS)


def _plain(text: Any) -> str:
    """Return what cyclopts has made of a docstring, as text; the format `plaintext` only wraps it."""
    text = getattr(text, "primary_renderable", text)
    return str(getattr(text, "plain", "" if text is None else text))
