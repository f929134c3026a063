"""A cache of large JSON values that were checked recently.

A record is checked when it is built, and again when it is saved, because its lists and dicts may have been changed in
between. For a large value, a walk in Python takes ten times as long as serialization with `marshal`. The serialization
shows every value and its exact type, so two values with the same bytes are both valid JSON or both invalid. The cache
holds digests of the bytes.
"""

import hashlib
import marshal
from typing import Any

MAX_CACHED_VALUES = 256
MIN_CHECK_S = 0.001
"""Values whose check takes less are not cached."""

_digests: dict[bytes, None] = {}
"""The digests of valid values, oldest first."""


def marshal_value(value: Any) -> bytes | None:
    """Return the `marshal` serialization, or None if a part has a type that neither `marshal` nor JSON has."""
    try:
        return marshal.dumps(value)
    except ValueError:
        return None


def is_valid(marshalled: bytes) -> bool:
    """Say whether the cache has the value with this serialization."""
    return bool(_digests) and hashlib.sha256(marshalled).digest() in _digests


def add_valid(value: Any) -> None:
    """Add a value that is valid JSON to the cache."""
    marshalled = marshal_value(value)
    if marshalled is None:
        return
    if len(_digests) >= MAX_CACHED_VALUES:
        _digests.clear()
    _digests[hashlib.sha256(marshalled).digest()] = None
