"""Compressed texts, which a database stores as bytes; a text that would not get shorter is not compressed."""

import zlib
from typing import Any

from aaow_storage_sql._tuning import DEFAULT

MIN_CHARS = DEFAULT.min_compressed_chars
MAX_CHARS = DEFAULT.max_compressed_chars
_LEVEL = 1
_WINDOW_BITS = -12
_MEMORY_LEVEL = 5
"""A small window and little memory: setting up larger ones takes longer than compressing a message."""
_PLAIN = b"\xff"
"""What a plain text begins with in a column of bytes. No deflate data begins with it."""


def compressed(text: str) -> str | bytes:
    """Return the text compressed, or the text itself if that is not shorter, or its length is not worth it."""
    if not MIN_CHARS <= len(text) <= MAX_CHARS:
        return text
    plain = text.encode()
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    short = compressor.compress(plain) + compressor.flush()
    return short if len(short) < len(plain) else text


def compressed_bytes(text: str) -> bytes:
    """Do the same for a column that has no place for texts: mark one that is not compressed."""
    stored = compressed(text)
    return stored if isinstance(stored, bytes) else _PLAIN + stored.encode()


def decompressed(stored: Any) -> Any:
    """Return the text that `compressed` or `compressed_bytes` was given; any other value is returned as it is.

    Raises:
        zlib.error: bytes are not what they returned.
        UnicodeDecodeError: the same.
    """
    if type(stored) is not bytes:
        return stored
    plain = stored[1:] if stored.startswith(_PLAIN) else zlib.decompress(stored, _WINDOW_BITS)
    return plain.decode()
