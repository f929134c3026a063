"""What a synchronous transaction does by itself, and the blocks of `with` for it."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, TypeVar

from aaow_storage._adapter import Transaction
from aaow_storage._enums import TransactionOutcome
from aaow_storage.errors import CLOSED_IN_TRANSACTION, AdapterClosedError, StorageError, TransactionError
from aaow_storage.sync._calls import SyncBlock, SyncCalls, Undo
from aaow_storage.sync._loop_thread import INHERITED, LoopThread

T = TypeVar("T")
TransactionT = TypeVar("TransactionT", bound="TransactionCalls")


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

    def _run(self, operation: Callable[[], Awaitable[T]], undo: Undo[T] | None = None) -> T:
        try:
            return super()._run(operation, undo)
        except AdapterClosedError:
            raise self._over() from None

    def _enter_block(self) -> None:
        try:
            self._run(self.wrapped.__aenter__)
        except BaseException:
            self._roll_back_if_open()
            raise

    def _leave_block(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._loop_thread.run(lambda: self.wrapped.__aexit__(kind, error, traceback))
        except AdapterClosedError:
            if error is None:
                self._check_ended()
        except BaseException:
            self._roll_back_if_open()
            raise

    def _roll_back_if_open(self) -> None:
        """Roll back, because the begin or the end of the block was interrupted, if the transaction has not ended."""
        if self.outcome is None:
            with suppress(StorageError):  # the exception that came first says more
                self.rollback()

    def _check_ended(self) -> None:
        """Check that the code of a block has ended the transaction itself, before the adapter was closed.

        Raises:
            TransactionError: it has not, so nothing is stored.
        """
        if self.outcome not in {TransactionOutcome.COMMITTED, TransactionOutcome.ROLLED_BACK}:
            raise self._over()

    def _over(self) -> TransactionError:
        """Return the error for a call after the loop has ended."""
        if self._loop_thread.is_inherited:
            return TransactionError(f"the transaction is over: {INHERITED}")
        if self.outcome is TransactionOutcome.COMMITTED:
            return TransactionError("the transaction is over: it was committed; begin another one")
        return TransactionError(f"the transaction is over: {CLOSED_IN_TRANSACTION}")


class TransactionBlock(SyncBlock[TransactionT]):
    """The block of a transaction: committed at its end, rolled back if it raises."""

    def __init__(
        self,
        adapter: SyncCalls,
        make: Callable[[], AbstractAsyncContextManager[Transaction]],
        convert: Callable[[Transaction], TransactionT],
    ) -> None:
        super().__init__(adapter, make)
        self._convert = convert

    def _begun(self, value: Any) -> TransactionT:
        self._transaction = self._convert(value)
        return self._transaction

    def _interrupted(self) -> None:
        self._transaction._roll_back_if_open()  # noqa: SLF001 - the block is a part of the transaction

    def _closed(self) -> None:
        self._transaction._check_ended()  # noqa: SLF001 - as above


class SavepointBlock(SyncBlock[None]):
    """The block of a savepoint: undone if it raises."""

    def __init__(self, transaction: TransactionCalls, make: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        super().__init__(transaction, make)
        self._transaction = transaction

    def _begun(self, value: Any) -> None:
        """Return nothing."""

    def _interrupted(self) -> None:
        """Do nothing: the exception reaches the block of the transaction too."""

    def _closed(self) -> None:
        raise self._transaction._over()  # noqa: SLF001 - the block is a part of the transaction
