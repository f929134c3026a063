"""Mistakes with large numbers: cut off, exhausted, or rounded."""

from decimal import Context, Decimal

import attrs

from aaow_storage import (
    ApprovalRequest,
    LLMExecution,
    Session,
    StorageUnavailableError,
    ToolCallLog,
    ValidationError,
)
from aaow_storage.authoring import Operator
from aaow_storage_conformance.broken._budgets import ReadsAncestors
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating, DelegatingTransaction
from aaow_storage_conformance.broken._querying import Querying
from aaow_storage_conformance.broken._transactions import BeginsBroken, BeginsBrokenInMemory
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._adapter import MemoryTransaction

A_THOUSAND, A_PAGE, A_BATCH = 1_000, 2_048, 5_000


@breaks("QRY-6", caught_by=["test_a_list_of_thousands_is_whole_and_so_are_its_pages"])
class ListsAPageAtMost(Querying):
    """Lists no more rows than its driver fetches at once."""

    def cut(self, plan, records):
        return super().cut(plan, records)[:A_PAGE]


@breaks("QRY-6", caught_by=["test_a_list_of_thousands_is_whole_and_so_are_its_pages"])
class CutsLimitsToAThousand(Querying):
    """Lowers a limit above a thousand to a thousand."""

    def cut(self, plan, records):
        if plan.limit is not None and plan.limit > A_THOUSAND:
            plan = attrs.evolve(plan, limit=A_THOUSAND)
        return super().cut(plan, records)


@breaks("QRY-7", caught_by=["test_a_list_of_thousands_is_whole_and_so_are_its_pages"])
class GoesOnWithinTheFirstPage(Querying):
    """Searches for the records after a given one in the first page only."""

    def select(self, plan, records):
        records = list(records)
        return super().select(plan, records[: A_PAGE + 200] if plan.after is not None else records)


@breaks("QRY-1", caught_by=["test_the_largest_filter_finds_what_it_describes"])
class ComparesWithAThousandValues(Querying):
    """Ignores the values beyond the thousand that its database takes in one statement."""

    def meets(self, condition, value):
        if condition.operator is Operator.IN:
            condition = attrs.evolve(condition, operand=condition.operand[:A_THOUSAND])
        return super().meets(condition, value)


@breaks("QRY-1", caught_by=["test_the_largest_filter_finds_what_it_describes"])
class RefusesManyValues(Querying):
    """Refuses more values than its database takes in one statement."""

    def meets(self, condition, value):
        if condition.operator is Operator.IN and len(condition.operand) > 4 * A_THOUSAND:
            raise ValidationError("QueryFilter", "where", "has too many values")
        return super().meets(condition, value)


@breaks("CON-1", caught_by=["test_a_thousand_tasks_write_and_read_at_once"])
class ServesAFewHundredAtOnce(Delegating):
    """Refuses a call while some hundred calls wait."""

    waiting = 0

    async def consume_budget(self, pool_id, amount):
        if self.waiting >= 200:
            raise StorageUnavailableError("too many wait")
        self.waiting += 1
        try:
            return await super().consume_budget(pool_id, amount)
        finally:
            self.waiting -= 1


@breaks("TXN-1")
class CommitsOneBatch(BeginsBroken):
    """Commits only as many writes of a transaction as fit into one batch."""

    class Broken(DelegatingTransaction):
        count = 0

        async def save_workflow(self, workflow):
            self.count += 1
            if self.count <= A_BATCH:
                await super().save_workflow(workflow)


@breaks("STA-1")
class SavesTwoThousandNodes(Delegating):
    """Saves only as many nodes as fit into one statement."""

    async def save_execution_state(self, state):
        if len(state.node_states) > A_PAGE:
            state = attrs.evolve(state, node_states=dict(list(state.node_states.items())[:A_PAGE]))
        await super().save_execution_state(state)


class _DeletesSome(MemoryAdapter):
    """Keeps what belongs to a session beyond the first thousand of one kind."""

    kind: type

    def _belongs(self, record, id):
        return record.session_id == id

    async def delete_session(self, id):
        tables = self._store.tables
        kept = [record for record in tables.all(self.kind) if self._belongs(record, id)][A_THOUSAND:]
        await super().delete_session(id)
        for record in kept:
            tables.put(record.id, record)


@breaks("SES-3")
class DeletesAThousandExecutions(_DeletesSome):
    """Deletes at most a thousand executions of a session."""

    kind = LLMExecution


@breaks("SES-3")
class DeletesAThousandRequests(_DeletesSome):
    """Deletes at most a thousand requests of a session."""

    kind = ApprovalRequest


@breaks("SES-3")
class DeletesAThousandCalls(_DeletesSome):
    """Deletes the tool calls of at most a thousand executions."""

    kind = ToolCallLog

    def _belongs(self, record, id):
        execution = self._store.tables.get(LLMExecution, record.execution_id)
        return execution is not None and execution.session_id == id


@breaks("WFL-1")
class FreesAThousandSessions(MemoryAdapter):
    """Clears the id of a deleted workflow in at most a thousand sessions."""

    async def delete_workflow(self, id):
        tables = self._store.tables
        kept = tables.all(Session, workflow_id=id)[A_THOUSAND:]
        await super().delete_workflow(id)
        for record in kept:
            tables.put(record.id, record)


@breaks("APR-3")
class ExpiresAThousand(MemoryAdapter):
    """Expires at most a thousand requests."""

    async def expire_approvals(self, now=None):
        tables = self._store.tables
        before = {request.id: request for request in tables.all(ApprovalRequest)}
        expired = await super().expire_approvals(now)
        for request in expired[A_THOUSAND:]:
            tables.put(request.id, before[request.id])
        return expired[:A_THOUSAND]


@breaks("REC-8")
class AddsToTwelveDigits(Delegating):
    """Rounds the use of a pool to twelve digits when it adds to it."""

    async def consume_budget(self, pool_id, amount):
        pool = await super().consume_budget(pool_id, amount)
        rounded = Context(prec=12).plus(pool.used_budget)
        if rounded == pool.used_budget:
            return pool
        return await super().update_budget_pool(pool_id, used_budget=rounded)


@breaks("BUD-1")
class ConsumesBeforeItAddsAbove(ReadsAncestors):
    """Refuses a sum of more than fifteen digits, after it has added to the pools below."""

    async def consume_budget(self, pool_id, amount):
        added = Decimal(str(amount))
        above = [pool for pool in await self.ancestors(pool_id) if pool.remaining_budget >= added]
        if any(Context(prec=15).plus(pool.used_budget + added) != pool.used_budget + added for pool in above):
            pool = await self.get_budget_pool(pool_id)
            await self.update_budget_pool(pool_id, used_budget=pool.used_budget + added)
            raise ValidationError("consume_budget", "amount", "has too many digits")
        return await super().consume_budget(pool_id, amount)


@breaks("OPS-2")
class RoundsDurations(Delegating):
    """Rounds durations to the microsecond."""

    async def log_tool_call(self, log):
        if log.duration_ms is not None:
            log = attrs.evolve(log, duration_ms=round(log.duration_ms, 3))
        await super().log_tool_call(log)


@breaks("LLM-1")
class CountsIn32Bits(Delegating):
    """Stores token counts in 32 bits."""

    async def save_llm_execution(self, session_id, node_id, result):
        if result.usage is not None:
            few = {name: min(count, 2**32) for name, count in attrs.asdict(result.usage).items()}
            result = attrs.evolve(result, usage=attrs.evolve(result.usage, **few))
        await super().save_llm_execution(session_id, node_id, result)


@breaks("BUD-1")
class ConsumesThroughAHundredLevels(ReadsAncestors):
    """Adds to the use of at most a hundred ancestors."""

    async def consume_budget(self, pool_id, amount):
        before = (await self.ancestors(pool_id))[100:]
        pool = await super().consume_budget(pool_id, amount)
        for each in before:
            await self.update_budget_pool(each.id, used_budget=each.used_budget, status=each.status)
        return pool


@breaks("TXN-4")
class NestsTwentySavepoints(BeginsBrokenInMemory):
    """Opens no savepoint inside twenty others."""

    class Broken(MemoryTransaction):
        def savepoint(self):
            return super().savepoint() if len(self._layers) < 20 else _NoSavepoint()


class _NoSavepoint:
    async def __aenter__(self):
        return None

    async def __aexit__(self, *error):
        return None


@breaks("TXN-7")
class CountsTimeInMilliseconds(Delegating):
    """Passes a timeout to its database in milliseconds, in 32 bits."""

    async def begin_transaction(self, timeout=30.0):
        if isinstance(timeout, int | float) and timeout * 1000 >= 2**31:
            raise ValidationError("begin_transaction", "timeout", "is too long")
        return await super().begin_transaction(timeout)
