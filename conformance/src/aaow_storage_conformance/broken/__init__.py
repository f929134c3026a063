"""Backends that are broken on purpose, each by a mistake that a real author could make: the suite catches them all."""

from aaow_storage_conformance.broken import (  # noqa: F401 - they fill the catalogue
    _approvals,
    _budgets,
    _cancellation,
    _combinations,
    _concurrency,
    _endings,
    _errors,
    _filters,
    _handles,
    _handling,
    _hanging,
    _holding,
    _leaving,
    _lifecycle,
    _numbers,
    _omissions,
    _operations,
    _paging,
    _paths,
    _processes,
    _races,
    _records,
    _resemblances,
    _returns,
    _savepoints,
    _schemas,
    _sequences,
    _sessions,
    _sharing,
    _side_effects,
    _sizes,
    _snapshots,
    _streams,
    _transactions,
)
from aaow_storage_conformance.broken._catalogue import BROKEN, BrokenBackend, breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._querying import Querying

__all__ = ["BROKEN", "BrokenBackend", "Delegating", "DelegatingTransaction", "Querying", "breaks"]
