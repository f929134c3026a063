"""Backends that are broken on purpose, each by a mistake that a real author could make: the suite catches them all."""

from aaow_storage_conformance.broken import _operations, _records, _sessions  # noqa: F401 - they fill the catalogue
from aaow_storage_conformance.broken._catalogue import BROKEN, BrokenBackend, breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction

__all__ = ["BROKEN", "BrokenBackend", "Delegating", "DelegatingTransaction", "breaks"]
