"""Large JSON values that were checked not long ago, known by a digest of all that is in them.

A record is checked when it is built, and again when it is saved, since its lists and dicts may have been changed
meanwhile. To walk through a large value takes Python ten times as long as to serialize it with `marshal`, which shows
every value and its exact type: two values with one image are equal JSON, or neither is JSON.
"""

import hashlib
import marshal
from typing import Any

MOST_REMEMBERED = 256
LONG_CHECK_S = 0.001
"""A value is large if it takes longer to check."""

_remembered: dict[bytes, None] = {}
"""The digests of values that are JSON, the oldest first."""


def image_of(value: Any) -> bytes | None:
    """Return what shows every value and its type; None where a part of the value has a type that no JSON has."""
    try:
        return marshal.dumps(value)
    except ValueError:
        return None


def is_remembered(image: bytes) -> bool:
    """Say whether a value with that image was checked not long ago."""
    return bool(_remembered) and hashlib.sha256(image).digest() in _remembered


def remember(value: Any) -> None:
    """Keep in mind that a value is JSON."""
    image = image_of(value)
    if image is None:
        return
    if len(_remembered) >= MOST_REMEMBERED:
        _remembered.clear()
    _remembered[hashlib.sha256(image).digest()] = None
