"""Plugins that know prices: the cost of an execution is filled in when it is saved."""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from aaow_storage import (
    DelegatingAdapter,
    LLMExecution,
    LLMExecutionResult,
    Session,
    StorageAdapter,
    TokenUsage,
    ValidationError,
    create_adapter,
    register_plugin,
    unregister_plugin,
)
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory import MemoryAdapter

USAGE = TokenUsage(prompt_tokens=1000, completion_tokens=100, total_tokens=1100)
CALL = LLMExecutionResult(success=True, provider="acme", model="large", usage=USAGE)


class Prices:
    """Answers each question with what it was made with, and keeps the questions."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.questions: list[tuple[Any, Any, Any]] = []

    @hookimpl
    def aaow_storage_price(self, provider: str | None, model: str | None, usage: TokenUsage | None) -> Any:
        self.questions.append((provider, model, usage))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer


@pytest.fixture
def prices() -> Iterator[Callable[[Any], Prices]]:
    """Register plugins that know prices, for the time of a test."""
    registered = []

    def register(answer: Any) -> Prices:
        plugin = Prices(answer)
        register_plugin(plugin)
        registered.append(plugin)
        return plugin

    yield register
    for plugin in registered:
        unregister_plugin(plugin)


async def saved(storage: StorageAdapter, result: LLMExecutionResult) -> LLMExecution:
    """Save the result, and return what is stored."""
    async with storage:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        await storage.save_llm_execution("s", "n", result)
        (execution,) = await storage.get_llm_executions("s")
        return execution


@pytest.mark.asyncio
@pytest.mark.parametrize("backend", ["memory", "sqlite"])
async def test_a_plugin_fills_in_the_cost_of_an_execution(prices: Callable[[Any], Prices], backend: str, tmp_path: Any):
    plugin = prices((Decimal("0.0375"), "EUR"))
    storage = create_adapter(backend, f"file:{tmp_path}/store.db" if backend == "sqlite" else None)
    execution = await saved(storage, CALL)
    assert (execution.cost, execution.currency) == (Decimal("0.0375"), "EUR")
    assert evolve(execution, cost=None, currency=None) == LLMExecution(
        session_id="s",
        node_id="n",
        **{name: getattr(CALL, name) for name in LLMExecutionResult.__slots__ if name[0] != "_"},
    )
    assert plugin.questions == [("acme", "large", USAGE)]
    assert CALL.cost is None


@pytest.mark.asyncio
async def test_in_a_transaction_too_and_when_an_execution_is_saved_again(prices: Callable[[Any], Prices]):
    prices((Decimal(7), "USD"))
    async with create_adapter("memory") as storage:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        async with storage.transaction() as transaction:
            await transaction.save_llm_execution("s", "n", evolve(CALL, success=None))
            (execution,) = await transaction.get_llm_executions("s")
            assert (execution.cost, execution.currency) == (Decimal(7), "USD")

        async def work(transaction: Any) -> None:
            await transaction.save_llm_execution("s", "n", CALL)

        await storage.transact(work)
        (execution,) = await storage.list_llm_executions()
        assert (execution.success, execution.cost) == (True, Decimal(7))


@pytest.mark.asyncio
async def test_a_cost_that_the_caller_gave_is_never_replaced_nor_asked_for(prices: Callable[[Any], Prices]):
    plugin = prices((Decimal(7), "USD"))
    execution = await saved(create_adapter("memory"), evolve(CALL, cost=Decimal(0), currency="CHF"))
    assert (execution.cost, execution.currency, plugin.questions) == (Decimal(0), "CHF", [])


@pytest.mark.asyncio
async def test_a_plugin_is_not_asked_about_an_execution_of_which_nothing_is_known(prices: Callable[[Any], Prices]):
    plugin = prices((Decimal(7), "USD"))
    execution = await saved(create_adapter("memory"), LLMExecutionResult(success=True))
    assert (execution.cost, plugin.questions) == (None, [])


@pytest.mark.asyncio
@pytest.mark.parametrize("known", [{"provider": "acme"}, {"model": "large"}, {"usage": USAGE}])
async def test_what_is_not_known_is_none(prices: Callable[[Any], Prices], known: dict[str, Any]):
    plugin = prices(None)
    execution = await saved(create_adapter("memory"), LLMExecutionResult(**known))
    assert (execution.cost, execution.currency) == (None, None)
    assert plugin.questions == [tuple(known.get(name) for name in ("provider", "model", "usage"))]


@pytest.mark.asyncio
async def test_the_last_plugin_is_asked_first_and_the_first_answer_counts(prices: Callable[[Any], Prices]):
    first, second, third = prices((Decimal(1), "USD")), prices((Decimal(2), "USD")), prices(None)
    execution = await saved(create_adapter("memory"), CALL)
    assert execution.cost == Decimal(2)
    assert [len(plugin.questions) for plugin in (first, second, third)] == [0, 1, 1]


async def _later() -> None: ...


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ZeroDivisionError("no tokens"), "raised ZeroDivisionError: no tokens"),
        (Decimal(7), r"must return \(Decimal, currency\) or None, not Decimal"),
        ((Decimal(7),), r"not \(Decimal\)"),
        ((Decimal(7), None), r"not \(Decimal, NoneType\)"),
        ((None, "USD"), r"not \(NoneType, str\)"),
        ((0.1, "USD"), r"not \(float, str\)"),
        ([Decimal(7), "USD"], "not list"),
        (_later, "is a coroutine function; it must be a plain function"),
        ((Decimal(-7), "USD"), "returned a wrong cost, which must be"),
        ((Decimal("nan"), "USD"), "returned a wrong cost, which must be"),
        ((Decimal(1) / 3, "USD"), "returned a wrong cost, which"),
        ((Decimal(7), "dollars"), "returned a wrong currency, which must be"),
    ],
)
async def test_a_broken_plugin_is_named_and_nothing_is_stored(
    prices: Callable[[Any], Prices], answer: Any, problem: str
):
    prices(answer)
    async with create_adapter("memory") as storage:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        message = f"LLMExecutionResult.cost: the hook aaow_storage_price of the plugin Prices .*{problem}"
        with pytest.raises(ValidationError, match=message) as caught:
            await storage.save_llm_execution("s", "n", CALL)
        assert f"the execution {CALL.id!r} was not saved: mend or unregister the plugin" in str(caught.value)
        async with storage.transaction() as transaction:
            with pytest.raises(ValidationError, match="aaow_storage_price"):
                await transaction.save_llm_execution("s", "n", CALL)
            await transaction.update_session("s", status="completed")
        assert await storage.get_llm_executions("s") == []
        assert (await storage.get_session("s")).status == "completed"


@pytest.mark.asyncio
async def test_a_module_that_is_a_plugin_is_named_as_such(prices: Callable[[Any], Prices]):
    module = ModuleType("our_prices")

    @hookimpl
    def aaow_storage_price(provider: str | None, model: str | None, usage: TokenUsage | None) -> Any:
        raise KeyError(model)

    module.aaow_storage_price = aaow_storage_price
    register_plugin(module)
    try:
        storage = create_adapter("memory")
    finally:
        unregister_plugin(module)
    with pytest.raises(ValidationError, match="of the plugin our_prices raised KeyError: 'large'"):
        await saved(storage, CALL)


@pytest.mark.asyncio
async def test_what_is_no_result_is_refused_by_the_backend(prices: Callable[[Any], Prices]):
    prices((Decimal(7), "USD"))
    with pytest.raises(ValidationError, match="must be LLMExecutionResult, not str"):
        await saved(create_adapter("memory"), "no result")


@pytest.mark.asyncio
async def test_adapters_of_plugins_see_the_cost(prices: Callable[[Any], Prices]):
    seen = []

    class Seeing(DelegatingAdapter):
        async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
            seen.append(result.cost)
            await super().save_llm_execution(session_id, node_id, result)

    class Wrapping:
        @hookimpl
        def aaow_storage_wrap_adapter(self, adapter: StorageAdapter) -> StorageAdapter:
            return Seeing(adapter)

    wrapping = Wrapping()
    prices((Decimal(7), "USD"))
    register_plugin(wrapping)
    try:
        storage = create_adapter("memory")
    finally:
        unregister_plugin(wrapping)
    await saved(storage, CALL)
    assert seen == [Decimal(7)]


def test_an_adapter_is_wrapped_only_if_a_plugin_knows_prices(prices: Callable[[Any], Prices]):
    before = create_adapter("memory")
    assert type(before) is MemoryAdapter
    prices(None)
    after = create_adapter("memory")
    assert isinstance(after, DelegatingAdapter)
    assert repr(after) == f"PricedAdapter({after.wrapped!r})"
    assert type(before) is MemoryAdapter
    assert asyncio.run(saved(before, CALL)).cost is None
