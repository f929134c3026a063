"""Adapters and transactions in front of others: they pass every call on, and a subclass changes what it overrides."""

import functools
import inspect
from abc import abstractmethod, update_abstractmethods
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar, cast

from aaow_storage._adapter import StorageAdapter, Transaction
from aaow_storage._enums import Capability, TransactionOutcome
from aaow_storage._operations import StorageOperations

OperationT = TypeVar("OperationT", bound=Callable[..., Any])


def _passed_on(operation: OperationT) -> OperationT:
    """Return the operation of a `DelegatingOperations`, with the signature and the docstring of the original."""
    name = operation.__name__

    if inspect.iscoroutinefunction(operation):

        @functools.wraps(operation)
        async def pass_on(self: "DelegatingOperations", /, *arguments: Any, **options: Any) -> Any:
            return await self.pass_on(name, *arguments, **options)

    else:  # it returns an iterator or a context manager

        @functools.wraps(operation)
        def pass_on(self: "DelegatingOperations", /, *arguments: Any, **options: Any) -> Any:
            return getattr(self.wrapped, name)(*arguments, **options)

    pass_on.__isabstractmethod__ = False  # type: ignore[attr-defined]  # `wraps` has copied it
    return cast("OperationT", pass_on)


class DelegatingOperations(StorageOperations):
    """Operations that pass every call on to those of `wrapped`: the part that adapters and transactions share.

    A mix-in that overrides an operation once, for both, inherits from this class.
    """

    @property
    @abstractmethod
    def wrapped(self) -> StorageOperations:
        """The adapter or transaction that the calls are passed on to."""

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        """Call the operation of `wrapped` that has the name; return what it returns.

        Every coroutine that is an operation comes through here, so an override sees all of them. It does not see
        operations that return an iterator.
        """
        return await getattr(self.wrapped, operation)(*arguments, **options)

    # The abstract operations are named one by one, so that a type checker knows that none is missing. The others are
    # passed on too: `_pass_on_the_rest` adds them.

    save_workflow = _passed_on(StorageOperations.save_workflow)
    get_workflow = _passed_on(StorageOperations.get_workflow)
    list_workflows = _passed_on(StorageOperations.list_workflows)
    count_workflows = _passed_on(StorageOperations.count_workflows)
    update_workflow = _passed_on(StorageOperations.update_workflow)
    delete_workflow = _passed_on(StorageOperations.delete_workflow)
    create_session = _passed_on(StorageOperations.create_session)
    get_session = _passed_on(StorageOperations.get_session)
    list_sessions = _passed_on(StorageOperations.list_sessions)
    count_sessions = _passed_on(StorageOperations.count_sessions)
    update_session = _passed_on(StorageOperations.update_session)
    delete_session = _passed_on(StorageOperations.delete_session)
    save_execution_state = _passed_on(StorageOperations.save_execution_state)
    get_execution_state = _passed_on(StorageOperations.get_execution_state)
    update_node_state = _passed_on(StorageOperations.update_node_state)
    save_llm_execution = _passed_on(StorageOperations.save_llm_execution)
    get_llm_executions = _passed_on(StorageOperations.get_llm_executions)
    get_node_llm_executions = _passed_on(StorageOperations.get_node_llm_executions)
    create_budget_pool = _passed_on(StorageOperations.create_budget_pool)
    get_budget_pool = _passed_on(StorageOperations.get_budget_pool)
    list_budget_pools = _passed_on(StorageOperations.list_budget_pools)
    get_child_budget_pools = _passed_on(StorageOperations.get_child_budget_pools)
    update_budget_pool = _passed_on(StorageOperations.update_budget_pool)
    delete_budget_pool = _passed_on(StorageOperations.delete_budget_pool)
    consume_budget = _passed_on(StorageOperations.consume_budget)
    increase_budget = _passed_on(StorageOperations.increase_budget)
    log_tool_call = _passed_on(StorageOperations.log_tool_call)
    get_tool_calls = _passed_on(StorageOperations.get_tool_calls)
    get_session_tool_calls = _passed_on(StorageOperations.get_session_tool_calls)
    create_approval_request = _passed_on(StorageOperations.create_approval_request)
    get_approval_request = _passed_on(StorageOperations.get_approval_request)
    list_approval_requests = _passed_on(StorageOperations.list_approval_requests)
    list_pending_approvals = _passed_on(StorageOperations.list_pending_approvals)
    update_approval_request = _passed_on(StorageOperations.update_approval_request)
    approve_request = _passed_on(StorageOperations.approve_request)
    reject_request = _passed_on(StorageOperations.reject_request)
    expire_approvals = _passed_on(StorageOperations.expire_approvals)
    save_stream_event = _passed_on(StorageOperations.save_stream_event)
    get_stream_events = _passed_on(StorageOperations.get_stream_events)


def _pass_on_the_rest(delegating: type, *, of: type) -> None:
    """Pass on every public function of a class that the delegating class does not define itself.

    So those that have a default in the interface are passed on as well, in place of running on the other operations.
    """
    defined = {name for each in delegating.__mro__ if each.__module__ == __name__ for name in vars(each)}
    for name, function in inspect.getmembers(of, inspect.isfunction):
        if not name.startswith("_") and name not in defined:
            setattr(delegating, name, _passed_on(function))
    update_abstractmethods(delegating)


_pass_on_the_rest(DelegatingOperations, of=StorageOperations)


class DelegatingTransaction(DelegatingOperations, Transaction):
    """A transaction that passes every call on to `wrapped`, another transaction."""

    def __init__(self, wrapped: Transaction) -> None:
        self._wrapped = wrapped

    @property
    def wrapped(self) -> Transaction:
        """The transaction that the calls are passed on to."""
        return self._wrapped

    @property
    def outcome(self) -> TransactionOutcome | None:
        return self.wrapped.outcome

    async def commit(self) -> None:
        await self.wrapped.commit()

    async def rollback(self) -> None:
        await self.wrapped.rollback()

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return self.wrapped.savepoint()

    async def __aenter__(self) -> Self:
        """Bind the wrapped transaction to the current context, so that its adapter refuses calls; return this one."""
        await self.wrapped.__aenter__()
        return self


class DelegatingAdapter(DelegatingOperations, StorageAdapter):
    """An adapter that passes every call on to `wrapped`, an adapter of any backend. Override what is to be different.

    Its transactions are what `wrap_transaction` makes of those of `wrapped`. An operation that is overridden here is
    not overridden there: put it into a mix-in of `DelegatingOperations`, and inherit from that in both classes.
    """

    def __init__(self, wrapped: StorageAdapter) -> None:
        self._wrapped = wrapped

    def __repr__(self) -> str:
        """Show what it stands in front of; the adapters of this project show their store without secrets."""
        return f"{type(self).__name__}({self.wrapped!r})"

    @property
    def wrapped(self) -> StorageAdapter:
        """The adapter that the calls are passed on to."""
        return self._wrapped

    def wrap_transaction(self, transaction: Transaction) -> Transaction:
        """Return the transaction to hand out for one that `wrapped` has begun."""
        return DelegatingTransaction(transaction)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.wrapped.capabilities

    async def initialize(self, *, migrate: bool = True) -> None:
        await self.wrapped.initialize(migrate=migrate)

    async def close(self) -> None:
        await self.wrapped.close()

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - how long it may stay open
        return self.wrap_transaction(await self.wrapped.begin_transaction(timeout))

    # These use `begin_transaction`, so that their transactions are wrapped.
    transaction = StorageAdapter.transaction
    transact = StorageAdapter.transact


_pass_on_the_rest(DelegatingAdapter, of=StorageAdapter)
_pass_on_the_rest(DelegatingTransaction, of=Transaction)
