"""What a synchronous transaction does by itself."""

from abc import abstractmethod
from contextlib import suppress
from types import TracebackType

from aaow_storage._adapter import Transaction
from aaow_storage._enums import TransactionOutcome
from aaow_storage.errors import StorageError
from aaow_storage.sync._calls import SyncCalls, leaving
from aaow_storage.sync._loop_thread import LoopThread


class TransactionCalls(SyncCalls):
    """The calls of a transaction, which are made on the loop of its adapter."""

    def __init__(self, wrapped: Transaction, adapter: SyncCalls) -> None:
        self._adapter = adapter
        """Kept, so that it is not dropped while the transaction is used."""
        self._own_loop_thread = adapter._loop_thread  # noqa: SLF001 - the transaction is a part of the adapter
        self._wrapped = wrapped

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wrapped!r})"

    @property
    def wrapped(self) -> Transaction:
        """The asynchronous transaction; its coroutines run on the loop of the adapter alone."""
        return self._wrapped

    @property
    @abstractmethod
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended, None while it is open."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo all writes of the transaction, and end it."""

    @property
    def _loop_thread(self) -> LoopThread:
        return self._own_loop_thread

    def _leave_block(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            leaving(self, lambda: self.wrapped.__aexit__(kind, error, traceback), error)
        except BaseException:
            roll_back_if_open(self)
            raise


def roll_back_if_open(transaction: TransactionCalls) -> None:
    """Roll back a transaction whose block ended with an exception, such as that of Ctrl-C, before it could end."""
    if transaction.outcome is None:
        with suppress(StorageError):  # the exception that came first says more
            transaction.rollback()
