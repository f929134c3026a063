"""Which task holds an open transaction of an adapter."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from aaow_storage._adapter import Transaction
from aaow_storage.errors import TransactionError


class OpenTransactions:
    """Remembers which task began which transaction, so that an adapter can refuse to be called around it.

    An adapter calls `check` first in each of its operations, and `add` when a transaction has begun. One that has ended
    is forgotten by itself.
    """

    def __init__(self) -> None:
        self._by_task: WeakKeyDictionary[asyncio.Task[Any], Transaction] = WeakKeyDictionary()

    def add(self, transaction: Transaction) -> None:
        """Remember that the current task began the transaction."""
        task = asyncio.current_task()
        if task is not None:
            self._by_task[task] = transaction

    def check(self) -> None:
        """Let a call on the adapter pass.

        Raises:
            TransactionError: the current task holds an open transaction of the adapter.
        """
        if not self._by_task:
            return
        task = asyncio.current_task()
        transaction = self._by_task.get(task) if task is not None else None
        if task is None or transaction is None:
            return
        if transaction.outcome is None:
            raise TransactionError(
                "this task holds an open transaction of this adapter: use the transaction, or end it first"
            )
        del self._by_task[task]
