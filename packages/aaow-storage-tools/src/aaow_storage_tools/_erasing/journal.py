"""`ReceiptJournal`: what an erasure that is under way has erased so far, beside the receipt that it will write."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aaow_storage import ConflictError, now
from aaow_storage_tools._erasing.receipts import InvalidReceiptError


class ReceiptJournal:
    """The ids of an erasure that is under way, in memory, and in a file if a receipt is to be written.

    A line is on the disk before what it names is deleted. So an erasure that is begun again knows all of it; a line
    that is cut off names what was not deleted.
    """

    def __init__(self, receipt_file: Path | None, request: Sequence[str]) -> None:
        """Go on with the journal of the same request, or begin one.

        Raises:
            ConflictError: the receipt is there already, or the journal is one of another request.
        """
        self.begun_at = now()
        self.ids: dict[str, list[str]] = {}
        self.sessions = 0
        self._file: IO[bytes] | None = None
        self.path = None if receipt_file is None else receipt_file.with_name(f"{receipt_file.name}.begun")
        if receipt_file is None or self.path is None:
            return
        if receipt_file.exists():
            raise ConflictError(f"{receipt_file} is there already, and a receipt is never replaced: name another file")
        if self.path.exists():
            self._read(self.path, request)
            self._file = self.path.open("ab")
        else:
            self._file = self.path.open("xb")
            self._append({"request": list(request), "begun_at": self.begun_at.isoformat()})

    def add(self, ids: Mapping[str, list[str]]) -> None:
        """Note the ids of a session and of what belongs to it, before it is deleted."""
        self._take(ids)
        if self._file is not None:
            self._append({"ids": dict(ids)})

    def remove(self) -> None:
        """Remove the file, because the receipt is written."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _take(self, ids: Mapping[str, list[str]]) -> None:
        for kind, some in ids.items():
            self.ids.setdefault(kind, []).extend(some)
        self.sessions += 1

    def _append(self, line: Mapping[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, path: Path, request: Sequence[str]) -> None:
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        try:
            first, *rest = [json.loads(line) for line in whole.splitlines()] or [None]
            if first is not None and first["request"] != list(request):
                raise ConflictError(
                    f"{path} belongs to the erasure of {first['request']}, not {list(request)}: finish that"
                )
            if first is not None:
                self.begun_at = datetime.fromisoformat(first["begun_at"])
            for line in rest:
                self._take(line["ids"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidReceiptError(str(path), f"a line of it is wrong: {error!r}") from error
        with path.open("r+b") as file:
            file.truncate(len(whole))
            if first is None:
                file.write(
                    json.dumps({"request": list(request), "begun_at": self.begun_at.isoformat()}).encode() + b"\n"
                )

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
