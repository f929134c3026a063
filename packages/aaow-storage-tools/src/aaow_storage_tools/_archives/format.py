"""The format of archives: a header, a line for each record, and a last line. `docs/archives.md` describes it."""

import hashlib
from typing import Any

import attrs

from aaow_storage import StorageError
from aaow_storage.authoring import dumps_unchecked, loads
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._copying.stored_records import Key
from aaow_storage_tools._kinds import KIND_OF, KINDS

NAME = "aaow-storage"
VERSION = 1
HEADER = "header"
END = "end"


class LineError(ValueError):
    """What is wrong with a line, for people."""


@attrs.frozen(kw_only=True)
class End:
    """The last line: how many records there are, and the digest of all lines before it."""

    records: int
    sha256: str | None


class ArchiveWriter:
    """Makes the lines of an archive, and counts and digests them."""

    def __init__(self) -> None:
        self.counts = {kind.name: 0 for kind in KINDS}
        self.digest = hashlib.sha256()
        self.size = 0

    @property
    def records(self) -> int:
        """How many records were written."""
        return sum(self.counts.values())

    def header(self, created_at: str, scope: str) -> bytes:
        """Return the first line."""
        return self._digested(
            _line({"type": HEADER, "format": NAME, "version": VERSION, "created_at": created_at, "scope": scope})
        )

    def record(self, item: Item) -> bytes:
        """Return the line of a record."""
        self.counts[item.kind.name] += 1
        return self._digested(line_of(item))

    def end(self) -> bytes:
        """Return the last line."""
        counts = {name: count for name, count in self.counts.items() if count}
        line = _line({"type": END, "records": self.records, "counts": counts, "sha256": self.digest.hexdigest()})
        self.size += len(line)
        return line

    def _digested(self, line: bytes) -> bytes:
        self.digest.update(line)
        self.size += len(line)
        return line


def line_of(item: Item) -> bytes:
    """Return the line of a record, as `ArchiveWriter` writes it."""
    return _line({"type": item.kind.name, "record": item.record.to_dict()})


def _line(document: dict[str, Any]) -> bytes:
    return f"{dumps_unchecked(document)}\n".encode()


def check_header(line: bytes) -> None:
    """Check the first line.

    Raises:
        LineError: it is not the header of an archive that this version reads.
    """
    document = _document(line)
    if document.get("type") != HEADER or document.get("format") != NAME:
        raise LineError(
            'is not the header of an archive, such as {"type":"header","format":"aaow-storage","version":1}'
        )
    if document.get("version") != VERSION:
        found = document.get("version")
        raise LineError(f"is of version {found!r} of the format, and this program reads version {VERSION}; upgrade it")


def parse_line(line: bytes) -> Item | End:
    """Return the record, or the end, that a line is.

    Raises:
        LineError: it is neither; the error says what is wrong.
    """
    document = _document(line)
    name = document.get("type")
    if name == END:
        return _end(document)
    kind = KIND_OF.get(name) if isinstance(name, str) else None
    if kind is None:
        raise LineError(f"has the type {name!r}; there are {', '.join(KIND_OF)} and {END}")
    if set(document) != {"type", "record"}:
        raise LineError(f"has the keys {', '.join(document)}; a record has type and record")
    try:
        return Item(kind, kind.record.from_dict(document["record"]))
    except StorageError as error:
        raise LineError(str(error)) from error


def item_of(line: bytes) -> Item:
    """Return the record that a line is, of which it is known that it is one."""
    parsed = parse_line(line)
    assert isinstance(parsed, Item)  # noqa: S101 - as is known
    return parsed


def key_of(line: bytes) -> Key | None:
    """Return the kind and the id of the record that a line is; None if it is the end. The line was checked before."""
    document = _document(line)
    kind = KIND_OF.get(document["type"])
    return None if kind is None else (kind.name, str(document["record"][kind.id_field]))


def _end(document: dict[str, Any]) -> End:
    records, digest = document.get("records"), document.get("sha256")
    if type(records) is not int or not (digest is None or isinstance(digest, str)):
        raise LineError("is no end: it has the number of records, and may have sha256, a text")
    return End(records=records, sha256=digest)


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = loads(line.decode())
    except (StorageError, UnicodeDecodeError) as error:
        raise LineError(f"is not JSON in UTF-8: {error}") from error
    if not isinstance(document, dict):
        raise LineError("is JSON, but no object")
    return document
