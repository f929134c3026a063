"""Mistakes with return values: shared objects, stale fields, or something in place of None."""

from datetime import timedelta

import attrs

from aaow_storage import ApprovalRequest, BudgetPool, StorageError, StorageUnavailableError
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import Delegating
from aaow_storage_memory import MemoryAdapter


@breaks("REC-6")
class SharesWhatASweepExpired(MemoryAdapter):
    """Returns the stored request objects from `expire_approvals`."""

    async def expire_approvals(self, now=None):
        expired = await super().expire_approvals(now)
        return [self._store.tables.get(ApprovalRequest, request.id) for request in expired]


@breaks("REC-6")
class SharesThePoolItIncreased(MemoryAdapter):
    """Returns the stored pool object from `increase_budget`."""

    async def increase_budget(self, pool_id, amount):
        await super().increase_budget(pool_id, amount)
        return self._store.tables.get(BudgetPool, pool_id)


@breaks("REC-6")
class SharesWhatItListsAsPending(MemoryAdapter):
    """Returns the stored request objects from `list_pending_approvals`."""

    async def list_pending_approvals(self, filter=None):
        pending = await super().list_pending_approvals(filter)
        return [self._store.tables.get(ApprovalRequest, request.id) for request in pending]


@breaks("REC-6")
class GivesEveryCallerTheSameRecords(Delegating):
    """Returns the record objects of the call before, as long as they are equal."""

    given = ()

    async def list_budget_pools(self, filter=None):
        found = await super().list_budget_pools(filter)
        if found != self.given:
            self.given = found
        return [*self.given]


@breaks("OPS-3")
class ReturnsWhatItSaved(Delegating):
    """Returns the workflow from `save_workflow`, not None."""

    async def save_workflow(self, workflow):
        await super().save_workflow(workflow)
        return workflow


@breaks("OPS-2")
class ReturnsTheIdOfANewRecord(Delegating):
    """Returns the id from `log_tool_call`, not None."""

    async def log_tool_call(self, log):
        await super().log_tool_call(log)
        return log.id


@breaks("OPS-5")
class ReturnsWhetherItDeleted(Delegating):
    """Returns True from a delete, not None."""

    async def delete_session(self, id):
        await super().delete_session(id)
        return True


@breaks("STA-3")
class ReturnsTheStateOfTheNode(Delegating):
    """Returns the state from `update_node_state`, not None."""

    async def update_node_state(self, session_id, node_id, state):
        await super().update_node_state(session_id, node_id, state)
        return state


@breaks("OPS-1")
class CountsInFloatingPoint(Delegating):
    """Returns counts as floats."""

    async def count_sessions(self, filter=None):
        return float(await super().count_sessions(filter))


@breaks("OPS-1")
class HasOneEmptyList(Delegating):
    """Returns the same list object whenever there is nothing."""

    def __init__(self, reference):
        super().__init__(reference)
        self.nothing = []

    async def get_tool_calls(self, execution_id, filter=None):
        return await super().get_tool_calls(execution_id, filter) or self.nothing


@breaks("OPS-1")
class NamesItsArgumentsOtherwise(Delegating):
    """Has other names for its arguments."""

    async def get_child_budget_pools(self, pool_id, query=None):
        return await super().get_child_budget_pools(pool_id, query)


@breaks("OPS-4")
class ReturnsAnotherTimeThanItStored(Delegating):
    """Reads the clock once for what it stores, and again for what it returns."""

    async def update_session(self, id, /, **changes):
        updated = await super().update_session(id, **changes)
        later = updated.updated_at + timedelta(microseconds=1)
        return updated if "updated_at" in changes else attrs.evolve(updated, updated_at=later)


@breaks("BUD-2")
class ReturnsTheStatusItFound(Delegating):
    """Returns an exhausted pool with the status that it had before."""

    async def consume_budget(self, pool_id, amount):
        before = await self.get_budget_pool(pool_id)
        consumed = await super().consume_budget(pool_id, amount)
        return attrs.evolve(consumed, status=before.status)


@breaks("APR-1")
class ReturnsADecisionWithoutItsTime(Delegating):
    """Returns a decided request without its `resolved_at`."""

    async def reject_request(self, id, rejected_by, reason=None):
        return attrs.evolve(await super().reject_request(id, rejected_by, reason), resolved_at=None)


@breaks("APR-3")
class SweepsFromTheEnd(Delegating):
    """Returns the expired requests in reverse order."""

    async def expire_approvals(self, now=None):
        return (await super().expire_approvals(now))[::-1]


@breaks("ERR-1", on="sqlite")
class LosesTheErrorOfItsDriver(Delegating):
    """Raises an error without the driver's exception as its `__cause__`."""

    async def initialize(self, *, migrate=True):
        try:
            await super().initialize(migrate=migrate)
        except StorageError as error:
            self.fail(error.__cause__, str(error))

    def fail(self, driver_error, message):
        """Raise an error while the driver's is handled, and not from it."""
        try:
            self.raise_again(driver_error)
        except Exception:  # noqa: BLE001 - whatever a driver raises
            raise StorageUnavailableError(message) from None

    def raise_again(self, driver_error):
        """Raise what the driver raised."""
        raise driver_error
