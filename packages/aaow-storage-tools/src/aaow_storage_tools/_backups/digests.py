"""The digests of a file: of all of it, and of each block, so that damage has a place."""

import asyncio
import hashlib
import threading
from pathlib import Path

from attrs import frozen

from aaow_storage.authoring import StepCallback
from aaow_storage_tools._errors import UnreadableFileError

BLOCK_BYTES = 16 * 2**20
_READ_BYTES = 2**20


@frozen(kw_only=True)
class FileDigest:
    """The size of a file, and SHA-256 digests in hexadecimal digits.

    Attributes:
        size: how many bytes it has.
        sha256: the digest of the file, as `sha256sum` prints it.
        block_bytes: how long a block is; the last may be shorter.
        blocks: the digest of each block.
    """

    size: int
    sha256: str
    block_bytes: int
    blocks: tuple[str, ...]


def check_is_file(path: Path, otherwise: str = "") -> None:
    """Check that a file is there; the error ends with another text.

    Raises:
        UnreadableFileError: it is not.
    """
    if not path.is_file():
        raise UnreadableFileError(str(path), f"there is no such file{otherwise}")


async def digest_file(path: Path, block_bytes: int, step: StepCallback) -> FileDigest:
    """Read a file, on a thread, and return its digests.

    Raises:
        UnreadableFileError: it is not there, or cannot be read.
    """
    is_cancelled = threading.Event()
    reading = asyncio.create_task(asyncio.to_thread(_digest, path, block_bytes, step, is_cancelled))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        is_cancelled.set()
        await asyncio.wait([reading])
        raise


def _digest(path: Path, block_bytes: int, step: StepCallback, is_cancelled: threading.Event) -> FileDigest:
    whole, blocks, done = hashlib.sha256(), list[str](), 0
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            while not is_cancelled.is_set():
                block, left = hashlib.sha256(), block_bytes
                while left and (part := file.read(min(left, _READ_BYTES))):
                    whole.update(part)
                    block.update(part)
                    left -= len(part)
                    done += len(part)
                    step(done, max(total, done))
                if left < block_bytes:
                    blocks.append(block.hexdigest())
                if left:
                    break
    except OSError as error:
        raise UnreadableFileError(str(path), str(error.strerror or error)) from error
    return FileDigest(size=done, sha256=whole.hexdigest(), block_bytes=block_bytes, blocks=tuple(blocks))
