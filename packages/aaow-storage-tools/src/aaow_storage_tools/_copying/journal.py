"""`Journal`: a file beside the target that says how far a copy is, so that it goes on after it was killed."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from aaow_storage_tools._copying.batches import Place
from aaow_storage_tools._errors import AlreadyRunningError, ToolError
from aaow_storage_tools._whole_files import whole_file

FORMAT = 1


class Journal:
    """How far a job is, in a file that belongs to one source and one target.

    The file is replaced as a whole, after what it says was stored. A copy leaves it when it is done, so that the same
    call, made again, knows the target. While a job runs it holds a lock on another file, which ends with its process.

    Attributes:
        place: where the walk goes on; None at the beginning.
        has_begun: whether the job has begun to write.
        is_walked: whether all records were copied once.
        position: the position in the change feed of the source up to which the target has its changes; None if it has
            no changes, or is not known.
        has_position: whether the position is known.
        records: how many records were stored.
        sessions: how many sessions were copied.
    """

    def __init__(self, path: Path | None, key: str, stores: dict[str, str]) -> None:
        self._path = path
        self._key = key
        self._stores = stores
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.place: Place | None = None
        self.has_begun = False
        self.is_walked = False
        self.position: str | None = None
        self.has_position = False
        self.records = 0
        self.sessions = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path | None, job: str, **stores: str) -> Iterator[Self]:
        """Read the journal of a job on these stores, and lock it, for `with`; without a path, nothing is kept.

        Raises:
            AlreadyRunningError: another process does the job.
            ToolError: the file is the journal of another job.
        """
        key = hashlib.sha256(json.dumps([job, stores], sort_keys=True).encode()).hexdigest()[:16]
        journal = cls(path, key, stores)
        if path is None:
            yield journal
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{path.name}.lock"), job):
            journal._read(path)
            yield journal

    def save(self) -> None:
        """Write the file anew, on the disk."""
        if self._path is None:
            return
        document = {
            "format": FORMAT,
            "key": self._key,
            "stores": self._stores,
            "place": None if self.place is None else list(self.place),
            "has_begun": self.has_begun,
            "is_walked": self.is_walked,
            "position": self.position,
            "has_position": self.has_position,
            "records": self.records,
            "sessions": self.sessions,
        }
        with whole_file(self._path) as file:
            file.write(json.dumps(document, indent=2).encode())

    def remove(self) -> None:
        """Remove the file, because nothing is to be gone on with."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self, path: Path) -> None:
        try:
            document: Any = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise ToolError(f"the journal {path} cannot be read: {error}; delete it to begin anew") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("key") != self._key:
            raise ToolError(f"{path} is the journal of another job, or of other stores: name another file")
        self.place = Place.from_json(document.get("place"))
        self.has_begun = bool(document.get("has_begun"))
        self.is_walked = bool(document.get("is_walked"))
        self.position = document.get("position")
        self.has_position = bool(document.get("has_position"))
        self.records = int(document.get("records") or 0)
        self.sessions = int(document.get("sessions") or 0)


@contextmanager
def locked(path: Path, job: str) -> Iterator[None]:
    """Hold a lock on a file for `with`; the file is removed at the end, and the lock ends with the process.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    file = _open_locked(path, job)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _open_locked(path: Path, job: str) -> IO[bytes]:
    while True:
        file = path.open("ab")
        try:
            _lock(file)
        except OSError as error:
            file.close()
            raise AlreadyRunningError(job, str(path)) from error
        try:
            is_there = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            is_there = False
        if is_there:
            return file
        file.close()  # it was removed by who held the lock before


def _lock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt  # noqa: PLC0415 - Windows has it

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows has it
        return
    import fcntl  # noqa: PLC0415 - Windows lacks it

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
