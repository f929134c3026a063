"""Refuses calls on an adapter from a task that holds an open transaction of it.

Such a call would wait for a lock that the transaction holds, or write data that a rollback of the transaction leaves. A
context variable names the transactions of a task. Tasks inherit the context they are started in, so one that is started
inside the block of a transaction (by `gather`, `wait_for` or a `TaskGroup`) is refused too.
"""

import threading
from contextvars import ContextVar
from typing import Protocol, TypeAlias
from weakref import ref

from aaow_storage._event_loop import check_event_loop
from aaow_storage.errors import TransactionError


class BoundTransaction(Protocol):
    """The part of a `Transaction` that this module uses."""

    @property
    def outcome(self) -> object:
        """How the transaction ended, None while it is open."""


BoundTransactions: TypeAlias = tuple[ref[BoundTransaction], ...]
"""Transactions that a context began or used. Weak references, because a context may live much longer."""

BYPASSED = (
    "the adapter was called by a task that has an open transaction of it (began it, used it, or was started inside its "
    "block): call the transaction's operations, or end it first; start an independent task before the transaction, or "
    "with create_task(..., context=contextvars.Context())"
)
"""Why a call is refused."""

_bound: ContextVar[BoundTransactions] = ContextVar("aaow_storage_transactions", default=())


class OpenTransactions:
    """The open transactions of one adapter.

    An adapter calls `check` first in each of its operations, and `add` when a transaction has begun. A transaction
    calls `bind_transaction` first in each of its own operations. Transactions that have ended are dropped without a
    call.
    """

    def __init__(self) -> None:
        self._open: frozenset[BoundTransaction] = frozenset()
        self._lock = threading.Lock()

    def add(self, transaction: BoundTransaction) -> None:
        """Add an open transaction, and bind it to the current context."""
        with self._lock:
            self._open = frozenset((*(other for other in self._open if other.outcome is None), transaction))
        bind_transaction(transaction)

    def check(self) -> None:
        """Check that the current task may call the adapter.

        Raises:
            TransactionError: its context has an open transaction of the adapter.
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
                raise TransactionError(BYPASSED)
            with self._lock:
                self._open -= {transaction}


def bind_transaction(transaction: BoundTransaction) -> None:
    """Bind a transaction to the current context, and to the tasks that are started in it from now on.

    Each use binds it, because another task may have begun it, such as the one that `asyncio.wait_for` starts before
    Python 3.12.

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


def transactions_of_context() -> BoundTransactions:
    """Return the transactions that are bound to the current context."""
    return _bound.get()


def add_to_context(bound: BoundTransactions) -> None:
    """Bind transactions to the current context, besides those that are bound to it."""
    own = _bound.get()
    _bound.set((*own, *(each for each in bound if each not in own)))
