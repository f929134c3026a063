"""Adapters in front of others: what they pass on, what an override changes, and in which transactions."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_asyncio

from aaow_storage import (
    Capability,
    DelegatingAdapter,
    DelegatingOperations,
    DelegatingTransaction,
    LLMExecutionResult,
    Session,
    StorageAdapter,
    StorageOperations,
    Transaction,
    TransactionOutcome,
)
from aaow_storage import _delegating as module
from aaow_storage.errors import TransactionError
from aaow_storage_memory import MemoryAdapter

OWN = {"transaction", "transact"}
"""What uses `begin_transaction`, so that it is not passed on."""


class Redacting(DelegatingOperations):
    """Leaves the texts of model calls out."""

    async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        await super().save_llm_execution(session_id, node_id, attrs.evolve(result, text="redacted"))


class RedactingTransaction(Redacting, DelegatingTransaction):
    """A transaction that leaves texts out."""


class RedactingAdapter(Redacting, DelegatingAdapter):
    """An adapter that leaves texts out."""

    def wrap_transaction(self, transaction: Transaction) -> Transaction:
        return RedactingTransaction(transaction)


class Counting(DelegatingOperations):
    """Notes the names of its operations."""

    names: list[str]

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        self.names.append(operation)
        return await super().pass_on(operation, *arguments, **options)


class CountingAdapter(Counting, DelegatingAdapter):
    """An adapter that notes its operations."""


@pytest_asyncio.fixture
async def storage() -> AsyncIterator[RedactingAdapter]:
    """An adapter that leaves texts out."""
    async with RedactingAdapter(MemoryAdapter()) as adapter:
        await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        yield adapter


def public(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of a class."""
    return {name: each for name, each in inspect.getmembers_static(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("delegating", "original"), [(DelegatingAdapter, StorageAdapter), (DelegatingTransaction, Transaction)]
)
def test_everything_public_is_passed_on(delegating: type, original: type):
    inherited = {name for name, each in public(original).items() if public(delegating)[name] is each}
    assert inherited <= OWN
    assert not inspect.isabstract(delegating)
    for name in public(original):
        documented = StorageOperations if hasattr(StorageOperations, name) else original
        assert inspect.getdoc(getattr(delegating, name)) == inspect.getdoc(getattr(documented, name))


@pytest.mark.parametrize("name", [name for name, each in public(StorageOperations).items() if callable(each)])
def test_an_operation_has_the_signature_of_the_original(name: str):
    for kind in (DelegatingAdapter, DelegatingTransaction):
        passed_on, original = getattr(kind, name), getattr(StorageOperations, name)
        assert inspect.signature(passed_on) == inspect.signature(original)
        assert inspect.iscoroutinefunction(passed_on) == inspect.iscoroutinefunction(original)


def test_the_operations_that_are_abstract_are_named_for_type_checkers():
    source = inspect.getsource(module.DelegatingOperations)
    assert [name for name in StorageOperations.__abstractmethods__ if f"    {name} = _passed_on(" not in source] == []


@pytest.mark.asyncio
async def test_an_operation_that_a_later_release_adds_is_passed_on():
    class Later(StorageOperations):
        async def count_events(self, stream_id: str, *, most: int = 9) -> int:
            """Return how many events there are."""
            raise NotImplementedError

        async def follow(self, stream_id: str) -> AsyncIterator[int]:
            """Yield the events."""
            raise NotImplementedError
            yield 0

    class LaterAdapter(MemoryAdapter):
        async def count_events(self, stream_id: str, *, most: int = 9) -> int:
            return len(stream_id) + most

        async def follow(self, stream_id: str) -> AsyncIterator[int]:
            for number in range(len(stream_id)):
                yield number

    class LaterDelegating(DelegatingAdapter):
        pass

    module._pass_on_the_rest(LaterDelegating, of=Later)
    delegating: Any = LaterDelegating(LaterAdapter())
    assert await delegating.count_events("four", most=1) == 5
    assert [number async for number in delegating.follow("four")] == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_one_override_holds_for_the_adapter_and_its_transactions(storage: RedactingAdapter):
    def secret(id: str) -> LLMExecutionResult:
        return LLMExecutionResult(id=id, text="secret")

    await storage.save_llm_execution("s", "n", secret("alone"))
    async with storage.transaction() as transaction:
        await transaction.save_llm_execution("s", "n", secret("block"))
    begun = await storage.begin_transaction()
    async with begun.savepoint():
        await begun.save_llm_execution("s", "n", secret("savepoint"))
    await begun.commit()
    await storage.transact(lambda transaction: transaction.save_llm_execution("s", "n", secret("transact")))
    stored = await storage.wrapped.get_llm_executions("s")
    assert {each.id: each.text for each in stored} == dict.fromkeys(
        ["alone", "block", "savepoint", "transact"], "redacted"
    )


@pytest.mark.asyncio
async def test_the_transaction_of_a_plain_one_is_wrapped_and_named():
    async with DelegatingAdapter(MemoryAdapter()) as storage:
        async with storage.transaction() as transaction:
            assert isinstance(transaction, DelegatingTransaction)
            assert isinstance(transaction.wrapped, Transaction)
            assert transaction.outcome is None
        assert transaction.outcome is TransactionOutcome.COMMITTED
        assert storage.capabilities == {Capability.STREAM_EVENTS, Capability.CHANGES, Capability.WRITERS_WAIT}


@pytest.mark.asyncio
async def test_every_operation_comes_through_one_method():
    async with CountingAdapter(MemoryAdapter()) as storage:
        storage.names = []
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        await storage.update_session("s", only_if={"status": "running"}, status="paused")
        assert (await storage.list_sessions())[0].status == "paused"
        assert storage.names == ["create_session", "update_session", "list_sessions"]


@pytest.mark.asyncio
async def test_calls_on_the_adapter_are_refused_in_the_block_of_a_transaction_that_another_task_began():
    async with DelegatingAdapter(DelegatingAdapter(MemoryAdapter())) as storage:
        transaction = await asyncio.create_task(storage.begin_transaction())
        async with transaction:
            with pytest.raises(TransactionError, match="by a task that has an open transaction"):
                await storage.list_sessions()
        assert await storage.list_sessions() == []
