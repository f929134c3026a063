"""The adapter of every SQL backend: operations run by an executor, each in its own transaction or in the caller's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from aaow_storage import Capability, StorageAdapter, Transaction, TransactionOutcome
from aaow_storage.authoring import OpenTransactions, check_timeout
from aaow_storage.errors import TransactionError
from aaow_storage_sql._attempts import attempt_at, is_repeatable
from aaow_storage_sql._connection import SQLConnection
from aaow_storage_sql._executor import Executor, ExecutorTransaction, Work
from aaow_storage_sql._lookups import Lookup, is_of_one_record
from aaow_storage_sql._operations import SQLOperations

P = ParamSpec("P")
T = TypeVar("T")


def _works(
    operation: Callable[Concatenate[SQLConnection, P], T], *args: P.args, **kwargs: P.kwargs
) -> tuple[Work[T], Work[Any] | None]:
    """Return the work of an operation with these arguments, and the attempt at it."""

    def work(connection: SQLConnection) -> T:
        return operation(connection, *args, **kwargs)

    attempt = attempt_at(operation)
    if attempt is None or attempt is operation:
        return work, attempt and work
    return work, lambda connection: attempt(connection, *args, **kwargs)


class SQLTransaction(SQLOperations, Transaction):
    """Several operations on one connection that is lent to this transaction."""

    def __init__(self, lent: ExecutorTransaction) -> None:
        self._lent = lent
        self._savepoints: list[int] = []

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self._lent.outcome

    async def commit(self) -> None:
        await self._lent.commit()

    async def rollback(self) -> None:
        await self._lent.rollback()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        number = await self._lent.open_savepoint()
        self._savepoints.append(number)
        try:
            yield
        except BaseException:
            if self.outcome is None and number in self._savepoints:
                await self._close_savepoint(number, undo=True)
            raise
        if self.outcome is None and number not in self._savepoints:
            raise TransactionError("the savepoint has ended, with one that was opened before it")
        await self._close_savepoint(number, undo=False)

    async def _close_savepoint(self, number: int, *, undo: bool) -> None:
        await self._lent.close_savepoint(number, undo=undo)
        del self._savepoints[self._savepoints.index(number) :]

    async def _find(self, lookup: Lookup[T], id: str) -> T | None:
        return await self._write(lookup, id)

    async def _read(
        self, operation: Callable[Concatenate[SQLConnection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._write(operation, *args, **kwargs)

    async def _write(
        self, operation: Callable[Concatenate[SQLConnection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        work, attempt = _works(operation, *args, **kwargs)
        return await self._lent.run(work, attempt=attempt)


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
        await self._executor.start(migrate=migrate)

    async def close(self) -> None:
        await self._executor.stop()

    async def begin_transaction(self, timeout: float = 30.0) -> SQLTransaction:  # noqa: ASYNC109 - how long it may stay open
        self._transactions.check()
        transaction = SQLTransaction(await self._executor.begin(check_timeout("begin_transaction", timeout)))
        self._transactions.add(transaction)
        return transaction

    async def _find(self, lookup: Lookup[T], id: str) -> T | None:
        self._transactions.check()
        return await self._executor.find(lookup, id)

    async def _read(
        self, operation: Callable[Concatenate[SQLConnection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._transactions.check()
        kind = operation if is_of_one_record(operation) else None
        return await self._executor.read(lambda connection: operation(connection, *args, **kwargs), kind=kind)

    async def _write(
        self, operation: Callable[Concatenate[SQLConnection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._transactions.check()
        work, attempt = _works(operation, *args, **kwargs)
        return await self._executor.write(work, attempt=attempt, may_be_repeated=is_repeatable(operation))
