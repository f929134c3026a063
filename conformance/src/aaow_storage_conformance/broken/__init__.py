"""Backends that are broken on purpose, each by a mistake that a real author could make: the suite catches them all."""

from aaow_storage_conformance.broken import (  # noqa: F401 - they fill the catalogue
    _errors,
    _lifecycle,
    _operations,
    _records,
    _sessions,
)
from aaow_storage_conformance.broken._catalogue import BROKEN, BrokenBackend, breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction

__all__ = ["BROKEN", "BrokenBackend", "Delegating", "DelegatingTransaction", "breaks"]
