"""`Receipt`: what was erased, when, and a digest by which a change of the receipt is noticed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import field, frozen

from aaow_storage_tools._errors import ToolError
from aaow_storage_tools._whole_files import whole_file

FORMAT = "aaow-storage erasure receipt"
SCHEMA = 1


def _texts(value: Iterable[str]) -> tuple[str, ...]:
    return tuple(value)


def _sorted(value: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(sorted(set(ids))) for kind, ids in value.items()}


@frozen(kw_only=True)
class Receipt:
    """What was erased.

    Attributes:
        request: the conditions that the sessions met, such as `"metadata.user=ada"`.
        begun_at: when it was begun.
        erased_at: when the last record had gone; None if it is not done.
        ids: the ids of what was erased, by kind.
        notes: what still names an id, a sentence each.
    """

    request: tuple[str, ...] = field(converter=_texts)
    begun_at: datetime
    erased_at: datetime | None = None
    ids: Mapping[str, tuple[str, ...]] = field(factory=dict, converter=_sorted)
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many records of each kind were erased."""
        return {kind: len(ids) for kind, ids in self.ids.items()}

    @property
    def is_done(self) -> bool:
        """Whether everything that was asked for has gone."""
        return self.erased_at is not None

    @property
    def digest(self) -> str:
        """The digest of all else in the receipt."""
        text = json.dumps(self._content(), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as plain JSON, with its digest."""
        return {**self._content(), "digest": self.digest}

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "schema": SCHEMA,
            "request": list(self.request),
            "begun_at": _text_of(self.begun_at),
            "erased_at": None if self.erased_at is None else _text_of(self.erased_at),
            "counts": self.counts,
            "ids": {kind: list(ids) for kind, ids in self.ids.items()},
            "notes": list(self.notes),
        }


class InvalidReceiptError(ToolError, ValueError):
    """A file is no receipt, or was changed.

    Attributes:
        file: the name of the file.
        problem: what is wrong.
    """

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(file, problem)
        self.file = file
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}; take the receipt as `erase` wrote it"


def read_receipt(path: Path) -> Receipt:
    """Read a receipt from a file.

    Raises:
        InvalidReceiptError: it is no receipt, is cut off, or was changed.
    """
    try:
        return receipt_of(json.loads(path.read_text("utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise InvalidReceiptError(str(path), f"it cannot be read: {error}") from error


def receipt_of(content: Any, place: str) -> Receipt:
    """Return the receipt that is plain JSON.

    Raises:
        InvalidReceiptError: it is no receipt, or was changed.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidReceiptError(place, "it is no receipt of `erase`")
    if content.get("schema") != SCHEMA:
        raise InvalidReceiptError(place, "a later release wrote it; install that release or a later one")
    try:
        erased_at = content["erased_at"]
        receipt = Receipt(
            request=content["request"],
            begun_at=datetime.fromisoformat(content["begun_at"]),
            erased_at=None if erased_at is None else datetime.fromisoformat(erased_at),
            ids=content["ids"],
            notes=tuple(content["notes"]),
        )
        is_whole = receipt.to_dict() == content
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidReceiptError(place, f"a part of it is missing or wrong: {error!r}") from error
    if not is_whole:
        raise InvalidReceiptError(place, "its digest differs, so it was changed or cut off")
    return receipt


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt into a new file; it is on the disk when this returns, whole."""
    text = json.dumps(receipt.to_dict(), indent=2, ensure_ascii=False)
    with whole_file(path) as file:
        file.write(f"{text}\n".encode())


def _text_of(at: datetime) -> str:
    return at.isoformat()
