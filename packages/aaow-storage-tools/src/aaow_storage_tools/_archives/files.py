"""The files of archives: written whole or not at all, compressed if their name says so, and read line by line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from aaow_storage_tools._errors import AlreadyThereError, InvalidArchiveError
from aaow_storage_tools._whole_files import whole_file

COMPRESSED = ".zst"
"""The ending of a name that means Zstandard."""
MAX_LINE_BYTES = 2**30
"""How long a line may be; the largest record is far shorter."""


@contextmanager
def written(path: Path, *, overwrites: bool) -> Iterator[IO[bytes]]:
    """Return a file for `with`: it gets its name at the end, when all of it is on the disk, and not if it fails.

    Raises:
        AlreadyThereError: there is a file with that name already, and it may not be replaced.
    """
    if path.exists() and not overwrites:
        raise AlreadyThereError(str(path))
    with whole_file(path) as file:
        if path.name.endswith(COMPRESSED):
            with _zstd().open(file, "wb") as compressed:
                yield cast("IO[bytes]", compressed)
        else:
            yield file


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, each with its end of line; the last may have none.

    Raises:
        InvalidArchiveError: the file cannot be read, is compressed and damaged, or ends in the middle.
    """
    number = 0
    try:
        with path.open("rb") as file:
            whole = _zstd().open(file, "rb") if path.name.endswith(COMPRESSED) else file
            while line := whole.readline(MAX_LINE_BYTES):
                number += 1
                yield number, line
    except EOFError as error:
        raise InvalidArchiveError(str(path), number + 1, f"the file ends in the middle: {_REMEDY}") from error
    except _zstd().ZstdError as error:
        problem = f"the file is not compressed as its name says, or is damaged ({error}): {_REMEDY}"
        raise InvalidArchiveError(str(path), number + 1, problem) from error


_REMEDY = "get a whole copy of it, or export again"


def _zstd() -> Any:
    """Return the module for Zstandard, which Python has since 3.14."""
    try:
        from compression import zstd  # type: ignore[import-not-found]  # noqa: PLC0415 - only where it is used
    except ImportError:
        from backports import zstd  # noqa: PLC0415 - only where it is used
    return zstd
