"""The adapter of every SQL backend, and its transactions. An executor runs the operations.

This is the boundary of errors: below it they may be the driver's, the system's or bugs. It raises storage errors,
cancellations, and errors that end the interpreter.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from aaow_storage import Capability, StorageAdapter, Transaction, TransactionOutcome, now
from aaow_storage.authoring import (
    Decision,
    OpenTransactions,
    StillPending,
    Watcher,
    announce_commit,
    bind_transaction,
    check_event_loop,
    check_timeout,
    cleaning_up_after,
    decision_on,
    storage_errors_alone,
    unforeseen,
)
from aaow_storage.errors import AdapterClosedError, StorageError, TransactionError
from aaow_storage_sql._mapping.inputs import KnownInputs
from aaow_storage_sql._operation import Call, Operation
from aaow_storage_sql._operations import SQLOperations
from aaow_storage_sql._threads.executor import Executor, ExecutorTransaction

if TYPE_CHECKING:
    from aaow_storage_sql._repositories import approvals, changes, stream_events
else:
    from aaow_storage_sql._late_imports import approvals, changes, stream_events

T = TypeVar("T")
Args = TypeVarTuple("Args")


async def _number_changes(executor: Executor) -> None:
    """Give the committed changes their numbers, each some in a transaction of its own."""
    while executor.numbers_changes and await executor.submit(Call(changes.has_unnumbered)):
        await executor.submit(Call(changes.number))


class SQLTransaction(SQLOperations, Transaction):
    """A transaction that the caller ends: all its operations run on one connection."""

    def __init__(self, transaction: ExecutorTransaction, executor: Executor, place: str, inputs: KnownInputs) -> None:
        self._transaction = transaction
        self._inputs = inputs
        self._place = place
        self._executor = executor  # so that it is not garbage while the transaction is used
        self._savepoints: list[int] = []

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self._transaction.outcome

    async def commit(self) -> None:
        check_event_loop()
        with storage_errors_alone():
            await self._transaction.commit()
        announce_commit(self._place)

    async def rollback(self) -> None:
        check_event_loop()
        with storage_errors_alone():
            await self._transaction.rollback()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        bind_transaction(self)
        with storage_errors_alone():
            number = await self._transaction.open_savepoint()
        self._savepoints.append(number)
        try:
            yield
        except BaseException as error:
            if self.outcome is None and number in self._savepoints:
                with cleaning_up_after(error):
                    await self._close_savepoint(number, undo=True)
            raise
        if self.outcome is None and number not in self._savepoints:
            raise TransactionError(
                "the savepoint has ended, with one that was opened before it: end the inner one first"
            )
        with storage_errors_alone():
            await self._close_savepoint(number, undo=False)

    async def _close_savepoint(self, number: int, *, undo: bool) -> None:
        await self._transaction.close_savepoint(number, undo=undo)
        del self._savepoints[self._savepoints.index(number) :]

    async def _run(self, operation: Operation[*Args, T], *args: *Args) -> T:
        bind_transaction(self)
        try:
            if operation.reads_feed and self.outcome is None:
                with suppress(AdapterClosedError):  # the transaction has ended, and says so
                    await _number_changes(self._executor)
            return await self._transaction.run(Call(operation, args))
        except StorageError:
            raise
        except Exception as error:
            raise unforeseen(error) from error


class SQLStorageAdapter(SQLOperations, StorageAdapter):
    """An adapter to a SQL database, which the executor opens."""

    def __init__(self, executor: Executor, capabilities: frozenset[Capability]) -> None:
        self._executor = executor
        self._capabilities = capabilities
        self._place = executor.place
        self._transactions = OpenTransactions()
        self._inputs = KnownInputs()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._executor.place}>"

    @property
    def capabilities(self) -> frozenset[Capability]:
        executor = self._executor
        may_claim = {Capability.CHANGES: executor.records_changes, Capability.WRITERS_WAIT: executor.writers_wait}
        return self._capabilities - {each for each, is_so in may_claim.items() if not is_so}

    async def initialize(self, *, migrate: bool = True) -> None:
        check_event_loop()
        with storage_errors_alone(self._executor.to_storage_error):
            await self._executor.start(migrate=migrate)

    async def close(self) -> None:
        check_event_loop()
        self._stop_watching()
        with storage_errors_alone(self._executor.to_storage_error):
            await self._executor.stop()

    async def begin_transaction(self, timeout: float = 30.0) -> SQLTransaction:  # noqa: ASYNC109 - how long it may stay open
        self._transactions.check()
        with storage_errors_alone(self._executor.to_storage_error):
            begun = await self._executor.begin(check_timeout("begin_transaction", timeout))
        transaction = SQLTransaction(begun, self._executor, self._place, self._inputs)
        self._transactions.add(transaction)
        return transaction

    async def _run(self, operation: Operation[*Args, T], *args: *Args) -> T:
        self._transactions.check()
        try:
            if operation.reads_feed:
                await _number_changes(self._executor)
            return await self._executor.submit(Call(operation, args))
        except StorageError:
            raise
        except Exception as error:
            raise self._executor.to_storage_error(error) from error
        finally:
            if operation.writes:
                announce_commit(self._place)

    async def _last_sequences(self, stream_ids: Collection[str]) -> Mapping[str, int]:
        return await self._run(stream_events.last_sequences, stream_ids)

    async def _last_position(self, keys: Collection[str]) -> Mapping[str, str]:
        last = await self._run(changes.last)
        return {} if last is None else dict.fromkeys(keys, last.position)

    async def _decisions(self, request_ids: Collection[str]) -> Mapping[str, Decision]:
        at = now()
        decidable, others = await self._run(approvals.decisions, request_ids, at)
        found: dict[str, Decision] = dict.fromkeys(request_ids)
        found.update(zip(decidable, map(StillPending, decidable.values()), strict=True))
        found.update((request.id, decision_on(request, at)) for request in others)
        return found

    def _make_watcher(self) -> Watcher:
        executor = self._executor
        read_version = None if executor.version is None else self._read_version
        return Watcher(self._place, read_version=read_version, interval_s=executor.poll_interval_s)

    async def _read_version(self) -> object:
        return None if self._executor.version is None else await self._run(self._executor.version)
