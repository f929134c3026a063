"""`Terminal`: what a command writes to. Data goes to stdout, all else to stderr.

A command says everything twice, for people and for programs, and needs no `if`: `print`, `print_table` and
`print_record` do nothing with `--json`, and `emit` and `emit_line` do nothing without.

    rows = [{"name": backend.name, "contract": backend.contract} for backend in backends]
    terminal.print_table(rows)
    terminal.emit({"type": "backends", "backends": rows})

What goes to stdout is kept until the command has ended well, so that stdout stays empty if it fails. A command with a
lot to write calls `start_writing()` when it is sure of its first lines.
"""

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from aaow_storage_tools.command_line.documents import document_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from aaow_storage_tools.command_line.progress_display import ProgressDisplay
    from aaow_storage_tools.command_line.tables import Columns

UNLIMITED_COLUMNS = 10_000
"""The width of a file or a pipe, where nothing is folded or cut off."""

HELP_COLUMNS = 80
"""The width of a page of help where stdout is no terminal."""


class _Kept:
    """A file of text that keeps what is written until it is told to pass it on to stdout."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._passes_on = False
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        if self._passes_on:
            return sys.stdout.write(text)
        self._parts.append(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        if self._passes_on:
            sys.stdout.flush()

    def pass_on(self) -> None:
        self._passes_on = True
        parts, self._parts = self._parts, []
        sys.stdout.write("".join(parts))
        sys.stdout.flush()


class Terminal:
    """What a command writes to, whether that is a terminal, a pipe or a file.

    Attributes:
        is_json: whether the command writes JSON for programs, rather than text for people.
        is_quiet: whether progress and notes are left out.
        is_interactive: whether stdout is a terminal.
    """

    def __init__(self, *, is_json: bool = False, is_quiet: bool = False) -> None:
        self.is_json = is_json
        self.is_quiet = is_quiet
        self.is_interactive = sys.stdout.isatty()
        self._out = _Kept()
        self._columns: Columns | None = None
        self._warnings: list[str] = []
        self._is_writing = False
        self._consoles: dict[str, Console] = {}

    @property
    def console(self) -> "Console":
        """The console of rich for stdout, for what the methods below cannot do."""
        return self._console("stdout", sys.stdout, self._out)

    def help_console(self) -> "Console":
        """Return the console for a page of help, which has the width of a page everywhere."""
        console = self._console("help", sys.stdout, self._out)
        if not self.is_interactive:
            console.width = HELP_COLUMNS
        return console

    @property
    def error_console(self) -> "Console":
        """The console of rich for stderr."""
        return self._console("stderr", sys.stderr, sys.stderr)

    @property
    def width(self) -> int:
        """How many columns a line of stdout may have; very many if that is no terminal."""
        return self.console.width

    def print(self, *renderables: "RenderableType", width: int | None = None) -> None:
        """Print text, or anything that rich can print, for people; at most so wide, if a width is given."""
        if self.is_json:
            return
        if not self.is_interactive and all(isinstance(each, str) or hasattr(each, "plain") for each in renderables):
            self._out.writelines(f"{getattr(each, 'plain', each)}".rstrip() + "\n" for each in renderables or ("",))
        else:
            with self.console.capture() as captured:
                self.console.print(*renderables, width=_least(width, self.console.width))
            text = captured.get()
            self._out.write(text if self.is_interactive else _without_padding(text))

    def print_line(self, line: "Text") -> None:
        """Print one line, for people, which is cut off where the terminal ends."""
        if not self.is_json:
            line.truncate(self.console.width, overflow="ellipsis")
            self.print(line)

    def print_as_is(self, text: str) -> None:
        """Print text without folding or cutting it, such as a script that goes into a file."""
        if not self.is_json:
            self._out.write(text if text.endswith("\n") else f"{text}\n")

    def print_table(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        columns: Sequence[str] | None = None,
        yielding: Collection[str] | None = None,
    ) -> None:
        """Print one line a row, for people, under the names of the columns; numbers are set to the right.

        On a terminal, long texts are folded; the first column, which has the id or the name, is never cut off. With
        `yielding`, those columns make room for the others.
        """
        from aaow_storage_tools.command_line.tables import table_of

        if not self.is_json:
            self.print(table_of(list(rows), columns, is_folded=self.is_interactive, yielding=yielding))

    def print_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print a page of a list, for people: as `print_table`, but a row is one line, and pages line up.

        What does not fit into a terminal is cut off from the last columns.
        """
        from aaow_storage_tools.command_line.tables import Columns

        if not self.is_json and rows:
            if self._columns is None:
                self._columns = Columns(rows)
                self.print(self._columns.header(self.console.width))
            for line in self._columns.lines(rows, self.console.width):
                self.print(line)

    def print_record(self, fields: Mapping[str, Any]) -> None:
        """Print one line a field, for people: its name and its value."""
        from aaow_storage_tools.command_line.tables import record_of

        if not self.is_json:
            self.print(record_of(fields))

    def emit(self, document: Mapping[str, Any]) -> None:
        """Write the one JSON document of a command, for programs; it gets the key `schema`."""
        if self.is_json:
            self._write_json(document, 2 if self.is_interactive else None)

    def emit_line(self, kind: str, document: Mapping[str, Any]) -> None:
        """Write one line of JSON Lines, for programs, with the key `type`; the last line has the type `result`."""
        if self.is_json:
            self._write_json({"type": kind, **document}, None)

    def start_writing(self) -> None:
        """Write to stdout what was kept, and from now on everything at once."""
        self._out.pass_on()
        self._is_writing = True
        for warning in self._warnings:
            self._write_error({"type": "warning", "message": warning})
        self._warnings.clear()

    def flush(self) -> None:
        """Send what was written on its way; it has no effect before `start_writing`."""
        self._out.flush()

    def note(self, text: str) -> None:
        """Tell people something on stderr, unless they asked for quiet; programs are not told."""
        if not self.is_quiet and not self.is_json:
            self._tell(text, "")

    def warn(self, text: str) -> None:
        """Warn on stderr; with `--json` by a line of JSON, or in the document that says why the command failed."""
        if not self.is_json:
            self._tell(f"warning: {text}", "yellow")
        elif self._is_writing:
            self._write_error({"type": "warning", "message": text})
        else:
            self._warnings.append(text)

    def fail(self, text: str, document: Mapping[str, Any]) -> None:
        """Say on stderr why the command failed: as text, or with `--json` as a JSON document."""
        if self.is_json:
            self._write_error({**document, "warnings": self._warnings} if self._warnings else document)
        else:
            self._tell(text, "red")

    @contextmanager
    def progress(self) -> "Iterator[ProgressDisplay]":
        """Return the progress callback of a long job, for `with`.

        On a terminal it draws a bar on stderr, with the rate and the remaining time; elsewhere it writes a line every
        ten seconds, and a line of JSON with `--json`. It can be passed to several jobs, one after the other.
        """
        from aaow_storage_tools.command_line.progress_display import ProgressDisplay

        display = ProgressDisplay(
            lambda: self.error_console,
            is_quiet=self.is_quiet,
            write_json=self._write_error if self.is_json else None,
        )
        try:
            yield display
        finally:
            display.close()

    def _tell(self, text: str, style: str) -> None:
        from aaow_storage_tools.command_line.tables import printable

        text = printable(text)
        if sys.stderr.isatty():
            self.error_console.print(text, style=style)
        else:
            sys.stderr.write(f"{text}\n")

    def _write_error(self, document: Mapping[str, Any]) -> None:
        sys.stderr.write(f"{document_text(document, is_ascii=not _is_unicode(sys.stderr))}\n")
        sys.stderr.flush()

    def _write_json(self, document: Mapping[str, Any], indent: int | None) -> None:
        self._out.write(f"{document_text(document, indent=indent, is_ascii=not _is_unicode(sys.stdout))}\n")

    def _console(self, name: str, place: TextIO, file: Any) -> "Console":
        if name not in self._consoles:
            from rich.console import Console

            is_terminal = place.isatty()
            width = None if is_terminal else UNLIMITED_COLUMNS
            # Rich asks the file for its encoding, and for a terminal's width asks the descriptors of the process.
            if isinstance(file, _Kept):
                file.encoding = place.encoding
            self._consoles[name] = Console(
                file=file,
                force_terminal=is_terminal,
                width=width,
                no_color=bool(os.environ.get("NO_COLOR")) or None,
                emoji=False,
                highlight=False,
                markup=False,
            )
        return self._consoles[name]


def _least(width: int | None, available: int) -> int:
    return available if width is None else min(width, available)


def _without_padding(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _is_unicode(file: TextIO) -> bool:
    return (file.encoding or "").lower().replace("-", "") in {"utf8", "utf8sig"}
