"""Prices of model calls: an adapter in front of another that asks plugins for the cost of an execution to be saved."""

import copy
import inspect
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from aaow_storage._adapter import StorageAdapter, Transaction
from aaow_storage._delegating import DelegatingAdapter, DelegatingOperations, DelegatingTransaction
from aaow_storage._records import LLMExecutionResult
from aaow_storage.errors import ValidationError

Price = tuple[Decimal, str]
"""A cost and its currency."""

HOOK = "aaow_storage_price"


class PriceHooks:
    """The hooks that know prices, by the name of their plugin; the first that does not return None counts."""

    def __init__(self, hooks: Sequence[tuple[str, Callable[..., Any]]]) -> None:
        self._hooks = hooks

    def priced(self, result: LLMExecutionResult) -> LLMExecutionResult:
        """Return the result with a cost, if it has none and a plugin knows it; otherwise the result itself.

        Raises:
            ValidationError: a hook raised, or returned neither None nor a legal cost and currency.
        """
        if not issubclass(type(result), LLMExecutionResult):
            return result  # the backend refuses it
        if result.cost is not None or result.currency is not None:
            return result
        if result.provider is None and result.model is None and result.usage is None:
            return result
        for plugin, hook in self._hooks:
            try:
                answer = hook(provider=result.provider, model=result.model, usage=result.usage)
            except Exception as error:
                raise _problem(plugin, result, f"raised {type(error).__name__}: {error}") from error
            if answer is not None:
                return _with_cost(result, _checked(plugin, result, answer))
        return result


def _checked(plugin: str, result: LLMExecutionResult, answer: Any) -> Price:
    """Return what a hook answered as a legal cost and currency, or raise a `ValidationError` that names the plugin."""
    if inspect.iscoroutine(answer):
        answer.close()
        raise _problem(plugin, result, "is a coroutine function; it must be a plain function")
    if not isinstance(answer, tuple) or [type(part) for part in answer] != [Decimal, str]:
        raise _problem(plugin, result, f"must return (Decimal, currency) or None, not {_shape(answer)}")
    try:
        checked = LLMExecutionResult(cost=answer[0], currency=answer[1])
    except ValidationError as error:
        raise _problem(plugin, result, f"returned a wrong {error.field}, which {error.problem}") from error
    if checked.cost is None or checked.currency is None:  # for the type checker: both are given
        raise _problem(plugin, result, "returned no cost")
    return checked.cost, checked.currency


def _shape(answer: Any) -> str:
    if not isinstance(answer, tuple):
        return type(answer).__name__
    return f"({', '.join(type(part).__name__ for part in answer)})"


def _problem(plugin: str, result: LLMExecutionResult, problem: str) -> ValidationError:
    remedy = "mend or unregister the plugin, or give the execution a cost and a currency"
    problem = f"the hook {HOOK} of the plugin {plugin} {problem}; the execution {result.id!r} was not saved: {remedy}"
    return ValidationError("LLMExecutionResult", "cost", problem)


def _with_cost(result: LLMExecutionResult, price: Price) -> LLMExecutionResult:
    """Return a copy with the cost, without another check of its documents, which may be large."""
    priced = copy.copy(result)
    for name, value in zip(("cost", "currency"), price, strict=True):
        object.__setattr__(priced, name, value)
    return priced


class _Priced(DelegatingOperations):
    """Saves executions with the costs that plugins know."""

    _hooks: PriceHooks

    async def save_llm_execution(self, session_id: str, node_id: str, result: LLMExecutionResult) -> None:
        await super().save_llm_execution(session_id, node_id, self._hooks.priced(result))


class PricedTransaction(_Priced, DelegatingTransaction):
    """A transaction that saves executions with the costs that plugins know."""

    def __init__(self, wrapped: Transaction, hooks: PriceHooks) -> None:
        super().__init__(wrapped)
        self._hooks = hooks


class PricedAdapter(_Priced, DelegatingAdapter):
    """An adapter that saves executions with the costs that plugins know, in transactions too."""

    def __init__(self, wrapped: StorageAdapter, hooks: PriceHooks) -> None:
        super().__init__(wrapped)
        self._hooks = hooks

    def wrap_transaction(self, transaction: Transaction) -> Transaction:
        return PricedTransaction(transaction, self._hooks)
