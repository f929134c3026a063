"""Adapters and transactions that pass every call on to those of a reference backend; a subclass changes one thing."""

import abc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from aaow_storage import Capability, StorageAdapter, StorageOperations, StreamEvent, Transaction, TransactionOutcome


class Delegating(StorageAdapter):
    """Passes every call on to `reference`, an adapter of any backend. A subclass makes one mistake on the way."""

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

    def watch_stream(self, stream_id: str, after: int = 0) -> AsyncGenerator[StreamEvent, None]:
        return self.reference.watch_stream(stream_id, after)


class DelegatingTransaction(Transaction):
    """Passes every call on to `reference`, a transaction of any backend. A subclass of `Delegating` begins it."""

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


def _pass_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def operation(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.reference, name)(*args, **kwargs)

    return operation


_OPERATIONS = [name for name in dir(StorageOperations) if not name.startswith("_")]

for _kind in (Delegating, DelegatingTransaction):
    for _name in _OPERATIONS:
        setattr(_kind, _name, _pass_on(_name))
    abc.update_abstractmethods(_kind)
