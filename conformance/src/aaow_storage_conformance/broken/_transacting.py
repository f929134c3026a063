"""Mistakes with `transact`, and with what errors say about another attempt."""

import asyncio

from aaow_storage import (
    AlreadyExistsError,
    BudgetExceededError,
    ConflictError,
    ContentionError,
    OutcomeUnknownError,
    StorageUnavailableError,
    TransactionError,
)
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating


@breaks("TXN-9")
class TransactsOnce(Delegating):
    """Never runs the work of `transact` again."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        return await super().transact(work, 1 if attempts else 0, outage, timeout)


@breaks("TXN-9")
class TransactsWithoutALimit(Delegating):
    """Runs the work of `transact` again more often than it may."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        return await super().transact(work, attempts and attempts + 5, outage, timeout)


@breaks("TXN-9")
class ForgetsTheResultOfTheWork(Delegating):
    """Returns None from `transact`."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        await super().transact(work, attempts, outage, timeout)


@breaks("TXN-9")
class TransactsAgainAfterARefusal(Delegating):
    """Runs the work of `transact` again after any `ConflictError`."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        async def lenient(transaction):
            try:
                return await work(transaction)
            except ConflictError as error:
                raise ContentionError(error.reason) from error

        return await super().transact(lenient if callable(work) else work, attempts, outage, timeout)


@breaks("TXN-9")
class TransactsAgainInDoubt(Delegating):
    """Runs the work of `transact` again, although a commit may have stored it."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        for _ in range(2):
            try:
                return await super().transact(work, attempts, outage, timeout)
            except OutcomeUnknownError as error:
                raised = error
        raise raised


@breaks("TXN-9")
class TransactsInOneTransaction(Delegating):
    """Runs the work of `transact` again in the same transaction."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        async def repeated(transaction):
            for _ in range(attempts - 1):
                try:
                    return await work(transaction)
                except ContentionError:
                    continue
            return await work(transaction)

        is_right = callable(work) and type(attempts) is int and attempts > 0
        return await super().transact(repeated if is_right else work, 1 if is_right else attempts, outage, timeout)


@breaks("TXN-9")
class GivesUpInAnOutage(Delegating):
    """Ignores the outage that `transact` may wait for."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        await super().transact(_nothing, 1, outage, timeout)
        return await super().transact(work, attempts, 0.0, timeout)


@breaks("TXN-9")
class WaitsForEveryOutage(Delegating):
    """Waits for an outage in `transact`, even if it may not."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        return await super().transact(work, attempts, outage or 0.2, timeout)


@breaks("TXN-9")
class TransactsAgainAfterItsCommit(Delegating):
    """Runs the work of `transact` again, although the work has committed."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        for _ in range(2):
            try:
                return await super().transact(work, attempts, outage, timeout)
            except ContentionError as error:
                if getattr(error, "__notes__", None):
                    raise
                raised = error
        raise raised


@breaks("TXN-9")
class TransactsAgainAfterACancellation(Delegating):
    """Runs the work of `transact` again after a cancellation."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        try:
            return await super().transact(work, attempts, outage, timeout)
        except asyncio.CancelledError:
            async with asyncio.timeout(0.1):
                return await super().transact(work, attempts, outage, timeout)


@breaks("TXN-9")
class TransactsWithoutATimeout(Delegating):
    """Ignores the timeout of `transact`."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        return await super().transact(work, attempts, outage, timeout and 30.0)


@breaks("TXN-9")
class TransactsInAClosedAdapter(Delegating):
    """Initializes a closed adapter for `transact`."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        await self.initialize()
        return await super().transact(work, attempts, outage, timeout)


@breaks("ERR-2")
class CallsRefusalsContention(Delegating):
    """Raises the error of a lost race for a suspended pool."""

    async def consume_budget(self, pool_id, amount):
        try:
            return await super().consume_budget(pool_id, amount)
        except BudgetExceededError:
            raise
        except ConflictError as error:
            raise ContentionError(error.reason, error.current) from None


class _AlreadyExistsForNowError(AlreadyExistsError):
    @property
    def is_retryable(self):
        return True


@breaks("ERR-2")
class CallsEveryErrorRetryable(Delegating):
    """Says of an id that is taken that another attempt may succeed."""

    async def create_session(self, session):
        try:
            await super().create_session(session)
        except AlreadyExistsError as error:
            raise _AlreadyExistsForNowError(error.kind, error.id) from None


class _TransactionOverError(TransactionError, StorageUnavailableError):
    """Says that a transaction that is over may be tried again."""


@breaks("ERR-2")
class CallsAnEndedTransactionUnavailable(Delegating):
    """Says of a transaction that is over that another attempt may succeed."""

    async def begin_transaction(self, timeout=30.0):
        transaction = await super().begin_transaction(timeout)
        commit = transaction.commit

        async def commit_again():
            try:
                await commit()
            except TransactionError as error:
                raise _TransactionOverError(str(error)) from None

        transaction.commit = commit_again
        return transaction


async def _nothing(transaction):
    del transaction


class _GroupFailedError(Exception):
    """Hides an exception group from `transact`."""


@breaks("TXN-9")
class NeverTransactsGroupsAgain(Delegating):
    """Runs the work of `transact` once if several of its tasks failed, even if each met contention."""

    async def transact(self, work, attempts=5, outage=0.0, timeout=30.0):
        async def hiding(transaction):
            try:
                return await work(transaction)
            except ExceptionGroup as group:
                raise _GroupFailedError from group

        try:
            return await super().transact(hiding if callable(work) else work, attempts, outage, timeout)
        except _GroupFailedError as error:
            raise error.__cause__ from None
