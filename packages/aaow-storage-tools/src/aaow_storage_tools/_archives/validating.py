"""Reading an archive: every line is checked before anything is written."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from aaow_storage_tools._archives.files import lines_of
from aaow_storage_tools._archives.format import End, LineError, check_header, parse_line
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._errors import InvalidArchiveError
from aaow_storage_tools._kinds import EXECUTION_STATE, KINDS, SESSION, Reference
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

MAX_PROBLEMS = 1000
"""How many lines that are wrong are named; all of them are counted."""

_BAD_LINE = "bad line"
_LINES_AT_ONCE = 500

Stored = Callable[[Reference], Awaitable[bool]]
"""Says whether the target has a record."""


@attrs.frozen(kw_only=True)
class LeftOut:
    """A line of an archive that is wrong.

    Attributes:
        line: its number, counted from 1.
        problem: what is wrong.
    """

    line: int
    problem: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"line": self.line, "problem": self.problem}


class Validation:
    """What is known of an archive after all of its lines were checked.

    Attributes:
        records: how many lines are records that can be stored.
        counts: how many there are of each kind.
        problems: the first 1,000 lines that are wrong.
        found: how many lines are wrong.
        digest: the digest of the lines before the last one.
    """

    def __init__(self, file: Path, seen: SeenIds) -> None:
        self._file = file
        self._seen = seen
        self.counts = {kind.name: 0 for kind in KINDS}
        self.problems: list[LeftOut] = []
        self.found = 0
        self.digest = ""

    @property
    def records(self) -> int:
        """How many lines are records that can be stored."""
        return sum(self.counts.values())

    async def run(self, stored: Stored | None = None, tell: ProgressCallback = ignore_progress) -> None:
        """Check all lines.

        Args:
            stored: asks the target for a record that no line has; None if it has none.
            tell: is told how many lines were checked.

        Raises:
            InvalidArchiveError: the file is no archive, or is not whole.
        """
        digest = hashlib.sha256()
        end: End | None = None
        number, lines = 0, 0
        for number, line in lines_of(self._file):
            if not number % _LINES_AT_ONCE:
                tell(Progress(what="lines checked", done=number, unit="lines"))
                await asyncio.sleep(0)  # so that other tasks run, and a cancellation comes through
            if number == 1:
                self._check_header(line)
            elif end is not None:
                raise self._invalid(
                    number, "comes after the end: this is not one archive, but several, or was added to"
                )
            else:
                try:
                    parsed = parse_line(line)
                    if isinstance(parsed, Item):
                        await self._check_record(parsed, stored)
                        self.counts[parsed.kind.name] += 1
                except LineError as error:
                    self._note(number, str(error))
                    parsed = None
                end = parsed if isinstance(parsed, End) else None
                lines += end is None
            if end is None:
                digest.update(line)
        self.digest = digest.hexdigest()
        if not number:
            raise self._invalid(1, "is missing: the file is empty")
        if end is None:
            raise self._invalid(number + 1, "is missing: the archive ends in the middle; get a whole copy of it")
        self._check_end(number, end, lines)

    def valid_lines(self, after_line: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are right, and their numbers, after that line; `run` was called before."""
        for number, line in lines_of(self._file):
            is_wrong = self.found and not self._seen.missing(_BAD_LINE, [str(number)])
            if number > max(1, after_line) and not is_wrong:
                yield number, line

    def valid_items(self, after_line: int = 0) -> Iterator[tuple[int, Item]]:
        """Yield the records that can be stored, and their line numbers, after that line; `run` was called before."""
        for number, line in self.valid_lines(after_line):
            parsed = parse_line(line)
            if isinstance(parsed, Item):
                yield number, parsed

    def error(self) -> InvalidArchiveError:
        """Return the error for the lines that are wrong."""
        first = self.problems[0]
        return InvalidArchiveError(str(self._file), first.line, first.problem, self.found - 1)

    def _check_header(self, line: bytes) -> None:
        try:
            check_header(line)
        except LineError as error:
            raise self._invalid(1, str(error)) from error

    async def _check_record(self, item: Item, stored: Stored | None) -> None:
        """Check what a record needs to be stored.

        Raises:
            LineError: it cannot be stored.
        """
        kind, record = item
        if not self._seen.missing(kind.name, [item.id]):
            raise LineError(f"repeats the {kind.name} {item.id!r}, which an earlier line has")
        for reference in kind.references(record):
            is_missing = self._seen.missing(reference.kind, [reference.id])
            if is_missing and (stored is None or not await stored(reference)):
                raise LineError(f"refers to the {reference.kind} {reference.id!r}, which no earlier line has")
        if kind is EXECUTION_STATE and self._has_other_status(item):
            raise LineError(f"has the status {record.status}, and its session has another; they have one status")
        self._seen.add(kind.name, [item.id])
        if kind is SESSION:
            self._seen.add(f"{SESSION.name} {record.status}", [item.id])

    def _has_other_status(self, state: Item) -> bool:
        is_here = not self._seen.missing(SESSION.name, [state.id])
        return is_here and bool(self._seen.missing(f"{SESSION.name} {state.record.status}", [state.id]))

    def _check_end(self, number: int, end: End, lines: int) -> None:
        if end.records != lines:
            problem = f"says that there are {end.records} records, and there are {lines}; get a whole copy of it"
            raise self._invalid(number, problem)
        if end.sha256 is not None and end.sha256 != self.digest:
            problem = "has another digest than the lines before it: one of them was changed or damaged"
            remedy = "get another copy of it, or remove sha256 from this line if you changed them"
            self._note(number, f"{problem}; {remedy}")

    def _note(self, number: int, problem: str) -> None:
        self.found += 1
        self._seen.add(_BAD_LINE, [str(number)])
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(LeftOut(line=number, problem=problem))

    def _invalid(self, number: int, problem: str) -> InvalidArchiveError:
        return InvalidArchiveError(str(self._file), number, problem)
