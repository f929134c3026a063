"""What a command writes for programs: JSON whose ids, amounts and times are strings."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

SCHEMA = 1
"""The version of what the commands write with `--json`; it grows if a key changes its meaning or goes."""


def document_text(document: Mapping[str, Any], *, indent: int | None = None, is_ascii: bool = False) -> str:
    """Return a document as JSON, with its `schema` first."""
    return json.dumps(
        {"schema": SCHEMA, **document}, default=_plain, ensure_ascii=is_ascii, indent=indent, allow_nan=False
    )


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, PurePath):
        return str(value)
    to_dict = getattr(value, "to_dict", None)
    if to_dict is not None:
        return to_dict()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
