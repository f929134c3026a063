"""The adapter of every SQL backend: operations run by an executor, each in its own transaction or in the caller's.

It is the boundary behind which errors are the driver's, the system's or the code's. What comes out of it is an error of
storage, a cancellation, or what ends the interpreter.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, TypeVarTuple

from aaow_storage import Capability, StorageAdapter, Transaction, TransactionOutcome
from aaow_storage.authoring import (
    OpenTransactions,
    bind_transaction,
    check_event_loop,
    check_timeout,
    cleaning_up_after,
    storage_errors_alone,
    unforeseen,
)
from aaow_storage.errors import StorageError, TransactionError
from aaow_storage_sql._operation import Lookup, Work, attempt_at, is_of_one_record, is_repeatable
from aaow_storage_sql._operations import SQLOperations
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._threads.executor import Executor, ExecutorTransaction

T = TypeVar("T")
Args = TypeVarTuple("Args")


def _works(operation: Callable[[SQLConnection, *Args], T], *args: *Args) -> tuple[Work[T], Work[Any] | None]:
    """Return the work of an operation with these arguments, and the attempt at it."""

    def work(connection: SQLConnection) -> T:
        return operation(connection, *args)

    attempt = attempt_at(operation)
    if attempt is None or attempt is operation:
        return work, attempt and work
    return work, lambda connection: attempt(connection, *args)


class SQLTransaction(SQLOperations, Transaction):
    """Several operations on one connection that is lent to this transaction."""

    def __init__(self, lent: ExecutorTransaction, executor: Executor) -> None:
        self._lent = lent
        self._executor = executor  # so that it is not released while the transaction is used
        self._savepoints: list[int] = []

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self._lent.outcome

    async def commit(self) -> None:
        check_event_loop()
        with storage_errors_alone():
            await self._lent.commit()

    async def rollback(self) -> None:
        check_event_loop()
        with storage_errors_alone():
            await self._lent.rollback()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        bind_transaction(self)
        with storage_errors_alone():
            number = await self._lent.open_savepoint()
        self._savepoints.append(number)
        try:
            yield
        except BaseException as error:
            if self.outcome is None and number in self._savepoints:
                with cleaning_up_after(error):
                    await self._close_savepoint(number, undo=True)
            raise
        if self.outcome is None and number not in self._savepoints:
            raise TransactionError("the savepoint has ended, with one that was opened before it")
        with storage_errors_alone():
            await self._close_savepoint(number, undo=False)

    async def _close_savepoint(self, number: int, *, undo: bool) -> None:
        await self._lent.close_savepoint(number, undo=undo)
        del self._savepoints[self._savepoints.index(number) :]

    def _find(self, lookup: Lookup[T], id: str) -> Coroutine[Any, Any, T | None]:
        return self._write(lookup, id)

    def _read(self, operation: Callable[[SQLConnection, *Args], T], *args: *Args) -> Coroutine[Any, Any, T]:
        return self._run(lambda connection: operation(connection, *args), is_read_only=True)

    def _write(self, operation: Callable[[SQLConnection, *Args], T], *args: *Args) -> Coroutine[Any, Any, T]:
        work, attempt = _works(operation, *args)
        return self._run(work, attempt=attempt)

    async def _run(self, work: Work[T], *, attempt: Work[Any] | None = None, is_read_only: bool = False) -> T:
        bind_transaction(self)
        try:
            return await self._lent.run(work, attempt=attempt, is_read_only=is_read_only)
        except StorageError:
            raise
        except Exception as error:
            raise unforeseen(error) from error


class SQLStorageAdapter(SQLOperations, StorageAdapter):
    """A store in a SQL database; the executor says which and how."""

    def __init__(self, executor: Executor, capabilities: frozenset[Capability]) -> None:
        self._executor = executor
        self._capabilities = capabilities
        self._transactions = OpenTransactions()

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._capabilities

    async def initialize(self, *, migrate: bool = True) -> None:
        check_event_loop()
        with storage_errors_alone(self._executor.to_storage_error):
            await self._executor.start(migrate=migrate)

    async def close(self) -> None:
        check_event_loop()
        with storage_errors_alone(self._executor.to_storage_error):
            await self._executor.stop()

    async def begin_transaction(self, timeout: float = 30.0) -> SQLTransaction:  # noqa: ASYNC109 - how long it may stay open
        self._transactions.check()
        with storage_errors_alone(self._executor.to_storage_error):
            lent = await self._executor.begin(check_timeout("begin_transaction", timeout))
        transaction = SQLTransaction(lent, self._executor)
        self._transactions.add(transaction)
        return transaction

    async def _find(self, lookup: Lookup[T], id: str) -> T | None:
        self._transactions.check()
        try:
            return await self._executor.find(lookup, id)
        except StorageError:
            raise
        except Exception as error:
            raise self._executor.to_storage_error(error) from error

    async def _read(self, operation: Callable[[SQLConnection, *Args], T], *args: *Args) -> T:
        self._transactions.check()
        kind = operation if is_of_one_record(operation) else None
        try:
            return await self._executor.read(lambda connection: operation(connection, *args), kind=kind)
        except StorageError:
            raise
        except Exception as error:
            raise self._executor.to_storage_error(error) from error

    async def _write(self, operation: Callable[[SQLConnection, *Args], T], *args: *Args) -> T:
        self._transactions.check()
        work, attempt = _works(operation, *args)
        try:
            return await self._executor.write(work, attempt=attempt, may_be_repeated=is_repeatable(operation))
        except StorageError:
            raise
        except Exception as error:
            raise self._executor.to_storage_error(error) from error
