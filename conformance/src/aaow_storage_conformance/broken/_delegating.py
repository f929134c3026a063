"""Adapters and transactions that pass every call on to those of a reference backend; a subclass changes one thing."""

import aaow_storage
from aaow_storage import StorageAdapter, Transaction


class Delegating(aaow_storage.DelegatingAdapter):
    """Passes every call on to `reference`, an adapter of any backend. A subclass makes one mistake on the way.

    Its transactions are those of the reference, unless the subclass wraps them.
    """

    @property
    def reference(self) -> StorageAdapter:
        """The adapter that keeps every clause."""
        return self.wrapped

    def wrap_transaction(self, transaction: Transaction) -> Transaction:
        return transaction


class DelegatingTransaction(aaow_storage.DelegatingTransaction):
    """Passes every call on to `reference`, a transaction of any backend. A subclass of `Delegating` begins it."""

    @property
    def reference(self) -> Transaction:
        """The transaction that keeps every clause."""
        return self.wrapped
