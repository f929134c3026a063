"""Backends that are broken on purpose, called mutants in mutation testing. They prove that the suite finds mistakes.

Each broken backend makes one mistake that a real author could make, and names the clauses that it breaks. For each of
these clauses at least one test of the suite has to fail on it. The modules are named by what they break; each class or
function with the decorator `breaks` is one broken backend, and the first line of its docstring is the mistake.

A broken backend is made of a *reference backend*, such as the memory backend, which keeps every clause.
"""

from aaow_storage_conformance.broken import (  # noqa: F401 - importing them fills the catalogue
    _amounts,
    _approvals,
    _blocks,
    _budgets,
    _caches,
    _call_sequences,
    _cancellation,
    _change_order,
    _changes,
    _close,
    _combinations,
    _combined_conditions,
    _concurrency,
    _concurrent_transactions,
    _conditional_updates,
    _copies,
    _cursors,
    _durability,
    _errors,
    _filters,
    _forks_and_drops,
    _hanging,
    _initialize,
    _inputs,
    _json_paths,
    _large_filters,
    _large_numbers,
    _long_texts,
    _losing,
    _newer_schemas,
    _observability,
    _omitted_documents,
    _open_transactions,
    _operations,
    _paging,
    _races,
    _reopen,
    _return_values,
    _savepoints,
    _sequences_of_events,
    _session_status,
    _sessions,
    _side_effects,
    _similar_documents,
    _snapshots,
    _store_wide,
    _streams,
    _transacting,
    _transactions,
    _usage,
    _values,
    _waiting,
)
from aaow_storage_conformance.broken._catalogue import BROKEN, BrokenBackend, breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._querying import Querying

__all__ = ["BROKEN", "BrokenBackend", "Delegating", "DelegatingTransaction", "Querying", "breaks"]
