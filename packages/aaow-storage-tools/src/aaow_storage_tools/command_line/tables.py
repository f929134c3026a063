"""Tables and records for people: which text a value has, and on which side it stands."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

MAX_COMPACT = 60
"""How many characters JSON has at most that stands on one line."""


class Columns:
    """The widths of the columns of a list, which the first page of it decides."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._names = list(dict.fromkeys(name for row in rows for name in row))
        self._are_numbers = [_is_column_of_numbers(rows, name) for name in self._names]
        texts = [[heading_of(name), *(text_of(row.get(name)) for row in rows)] for name in self._names]
        self._widths = [max(map(cell_len, column)) for column in texts]

    def header(self, width: int) -> Text:
        """Return the line of the names of the columns."""
        return _cut(Text(self._line([heading_of(name) for name in self._names]), style="bold"), width)

    def lines(self, rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[Text]:
        """Yield a line for each row, cut off where it is wider than that."""
        for row in rows:
            yield _cut(Text(self._line([text_of(row.get(name)).replace("\n", " ") for name in self._names])), width)

    def _line(self, texts: Sequence[str]) -> str:
        parts = []
        for text, width, is_number in zip(texts, self._widths, self._are_numbers, strict=True):
            padding = " " * (width - cell_len(text))
            parts.append(padding + text if is_number else text + padding)
        return "  ".join(parts).rstrip()


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def table_of(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
    *,
    is_folded: bool,
    yielding: Collection[str] | None = None,
) -> Table:
    """Return a table of rows under the names of their columns, without lines around them.

    If it is folded, the columns that yield are folded to fit, and their words cut: by default the texts but the first.
    """
    names = list(columns if columns is not None else dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        is_number = _is_column_of_numbers(rows, name)
        table.add_column(
            heading_of(name),
            justify="right" if is_number else "left",
            no_wrap=not is_folded or (place == 0 or is_number if yielding is None else name not in yielding),
            overflow="fold" if yielding is None else "ellipsis",
        )
    for row in rows:
        table.add_row(*(cell_of(row.get(name)) for name in names))
    return table


def heading_of(name: str) -> str:
    """Return the heading of a column."""
    return name.replace("_", " ").upper()


def _is_column_of_numbers(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(isinstance(row.get(name), int | float | Decimal) for row in rows)


def record_of(fields: Mapping[str, Any]) -> Table:
    """Return the fields of a record that have a value, one a line; JSON that is long has several lines."""
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None:
            table.add_row(name.replace("_", " "), cell_of(value))
    return table


def cell_of(value: object) -> Text:
    """Return a value as people read it; what is absent is empty."""
    return value if isinstance(value, Text) else Text(text_of(value))


def text_of(value: object) -> str:
    """Return the text of a value: instants in UTC to the second, amounts without an exponent, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict | list) for each in value)):
        compact = json.dumps(value, ensure_ascii=False, default=str)
        return printable(
            compact if len(compact) <= MAX_COMPACT else json.dumps(value, ensure_ascii=False, indent=2, default=str)
        )
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(map(text_of, value)) if isinstance(value, set | frozenset) else map(text_of, value))
    return printable(str(value))


def rounded(amount: Decimal) -> Decimal:
    """Return an amount as people read it: with 6 places after the point, fewer if it is large."""
    places = 2 if abs(amount) >= 1000 else 4 if abs(amount) >= 1 else 6  # noqa: PLR2004 - rough steps
    return round(amount, places).normalize()


def size_text(size: int) -> str:
    """Return a number of bytes for people, such as `3.4 MiB`."""
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:  # noqa: PLR2004 - the next unit
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"  # noqa: PLR2004
        amount /= 1024
    return f"{amount:.1f} TiB"


def printable(text: str) -> str:
    """Return a text without the characters that would move the cursor or colour the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
