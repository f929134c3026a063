"""Adapters and transactions that hand everything on to sound ones, to be broken in one place each."""

import abc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from aaow_storage import Capability, StorageAdapter, StorageOperations, Transaction, TransactionOutcome


class Delegating(StorageAdapter):
    """Hands every call on to `sound`, an adapter of whatever backend; a subclass gets one thing wrong on the way."""

    def __init__(self, reference: StorageAdapter) -> None:
        self.reference = reference

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.reference.capabilities

    async def initialize(self, *, migrate: bool = True) -> None:
        await self.reference.initialize(migrate=migrate)

    async def close(self) -> None:
        await self.reference.close()

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:
        return await self.reference.begin_transaction(timeout)


class DelegatingTransaction(Transaction):
    """Hands every call on to `sound`, a transaction of whatever backend, for a subclass of `Delegating` to begin."""

    def __init__(self, reference: Transaction) -> None:
        self.reference = reference

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self.reference.outcome

    async def commit(self) -> None:
        await self.reference.commit()

    async def rollback(self) -> None:
        await self.reference.rollback()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return self.reference.savepoint()


def _handing_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def operation(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.reference, name)(*args, **kwargs)

    return operation


for _kind in (Delegating, DelegatingTransaction):
    for _name in StorageOperations.__abstractmethods__:
        setattr(_kind, _name, _handing_on(_name))
    abc.update_abstractmethods(_kind)
