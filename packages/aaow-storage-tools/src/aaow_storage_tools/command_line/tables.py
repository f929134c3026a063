"""Tables and records for people: which text a value has, and on which side it stands."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from rich.table import Table
from rich.text import Text


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None, *, is_folded: bool) -> Table:
    """Return a table of rows under the names of their columns, without lines around them."""
    names = list(columns if columns is not None else dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        is_number = any(isinstance(row.get(name), int | float | Decimal) for row in rows)
        table.add_column(
            name.replace("_", " ").upper(),
            justify="right" if is_number else "left",
            no_wrap=place == 0 or is_number or not is_folded,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(cell_of(row.get(name)) for name in names))
    return table


def record_of(fields: Mapping[str, Any]) -> Table:
    """Return the fields of a record, one a line."""
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
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
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(map(text_of, value)) if isinstance(value, set | frozenset) else map(text_of, value))
    return printable(str(value))


def printable(text: str) -> str:
    """Return a text without the characters that would move the cursor or colour the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
