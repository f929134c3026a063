"""Backends that are broken on purpose, each by a mistake that a real author could make: the suite catches them all."""

from aaow_storage_conformance.broken import (  # noqa: F401 - they fill the catalogue
    _approvals,
    _budgets,
    _cancellation,
    _concurrency,
    _errors,
    _filters,
    _holding,
    _leaving,
    _lifecycle,
    _omissions,
    _operations,
    _paging,
    _paths,
    _processes,
    _records,
    _savepoints,
    _sessions,
    _sharing,
    _streams,
    _transactions,
)
from aaow_storage_conformance.broken._catalogue import BROKEN, BrokenBackend, breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._querying import Querying

__all__ = ["BROKEN", "BrokenBackend", "Delegating", "DelegatingTransaction", "Querying", "breaks"]
