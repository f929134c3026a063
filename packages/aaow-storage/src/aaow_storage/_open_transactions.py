"""Refusing calls on an adapter from a context that holds an open transaction of it.

A context variable names the transactions of a context. So every task that is started inside a transaction's block
(`gather`, `wait_for`, `TaskGroup`) is refused like the task that began it: the adapter would wait for a lock that the
transaction holds, or write what outlives the transaction's rollback.
"""

import threading
from contextvars import ContextVar
from typing import Protocol
from weakref import ref

from aaow_storage._event_loop import check_event_loop
from aaow_storage.errors import TransactionError


class BoundTransaction(Protocol):
    """A `Transaction`, of which this module needs to know only whether it has ended."""

    @property
    def outcome(self) -> object:
        """How it ended, None while it is open."""


_bound: ContextVar[tuple[ref[BoundTransaction], ...]] = ContextVar("aaow_storage_transactions", default=())
"""The transactions that this context began or used. Weak, since a context may outlive them for long."""


class OpenTransactions:
    """Knows the open transactions of one adapter.

    An adapter calls `check` first in each of its operations, and `add` when a transaction has begun. A transaction
    calls `bind_transaction` first in each of its own operations. One that has ended is forgotten by itself.
    """

    def __init__(self) -> None:
        self._open: frozenset[BoundTransaction] = frozenset()
        self._lock = threading.Lock()

    def add(self, transaction: BoundTransaction) -> None:
        """Remember an open transaction, and bind it to the current context."""
        with self._lock:
            self._open = frozenset((*(other for other in self._open if other.outcome is None), transaction))
        bind_transaction(transaction)

    def check(self) -> None:
        """Let a call on the adapter pass.

        Raises:
            TransactionError: the current context holds an open transaction of the adapter.
            StorageError: the call comes from outside of asyncio.
        """
        check_event_loop()
        if not self._open:
            return
        for bound in _bound.get():
            transaction = bound()
            if transaction is None or transaction not in self._open:
                continue
            if transaction.outcome is None:
                raise TransactionError(
                    "this task began, uses or was started inside an open transaction of this adapter: call the "
                    "transaction instead, or end it first; start a task that is independent of it before it, or by "
                    "create_task(..., context=contextvars.Context())"
                )
            with self._lock:
                self._open -= {transaction}


def bind_transaction(transaction: BoundTransaction) -> None:
    """Bind a transaction to the current context, and to the tasks that are started in it from now on.

    A transaction that another task began (a helper task of `asyncio.wait_for`, before Python 3.12) is bound by its use.

    Raises:
        StorageError: the call comes from outside of asyncio.
    """
    check_event_loop()
    bound = _bound.get()
    if bound and bound[-1]() is transaction:
        return
    others = [other for other in bound if (held := other()) is not None and held.outcome is None]
    if not any(other() is transaction for other in others):
        _bound.set((*others, ref(transaction)))
