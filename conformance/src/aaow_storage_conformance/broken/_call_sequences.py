"""Mistakes with several calls in one transaction: what it did before is forgotten, or its clock stops."""

import attrs

from aaow_storage import (
    AlreadyExistsError,
    ApprovalRequest,
    ConflictError,
    LLMExecution,
    NotFoundError,
    WorkflowExecutionState,
)
from aaow_storage import now as present
from aaow_storage_conformance.broken._catalogue import breaks
from aaow_storage_conformance.broken._delegating import DelegatingTransaction
from aaow_storage_conformance.broken._transactions import BeginsBroken, BeginsBrokenInMemory
from aaow_storage_memory._adapter import MemoryTransaction


@breaks("OPS-8")
class ForgetsWhatItDeleted(BeginsBroken):
    """Ignores, without an error, a request for a session that the transaction deleted before."""

    class Broken(DelegatingTransaction):
        async def create_approval_request(self, request):
            try:
                await super().create_approval_request(request)
            except NotFoundError:
                if request.session_id not in vars(self).get("deleted", ()):
                    raise

        async def delete_session(self, id):
            await super().delete_session(id)
            vars(self).setdefault("deleted", set()).add(id)


@breaks("OPS-5")
class DeletesTwiceInOneTransaction(BeginsBroken):
    """Raises no error for a second delete of a record in one transaction."""

    class Broken(DelegatingTransaction):
        async def delete_session(self, id):
            deleted = vars(self).setdefault("deleted", set())
            if id not in deleted:
                await super().delete_session(id)
                deleted.add(id)


class _InsertsFirst(BeginsBrokenInMemory):
    """Inserts before it deletes what has the same id, so that something of the deleted session stays."""

    kind: type

    class Broken(MemoryTransaction):
        async def delete_session(self, id):
            kind = self.kind
            kept = [record for record in self._layers[-1].all(kind) if record.session_id == id]
            await super().delete_session(id)
            vars(self).setdefault("kept", {})[id] = kept

        async def create_session(self, session):
            await super().create_session(session)
            for record in vars(self).get("kept", {}).get(session.id, ()):
                self._layers[-1].put(getattr(record, "id", record.session_id), record)


@breaks("SES-3")
class KeepsRequestsOfTheFirst(_InsertsFirst):
    """Keeps the requests of a session that is deleted and created again in one transaction."""

    class Broken(_InsertsFirst.Broken):
        kind = ApprovalRequest


@breaks("SES-3")
class KeepsExecutionsOfTheFirst(_InsertsFirst):
    """Keeps the executions of a session that is deleted and created again in one transaction."""

    class Broken(_InsertsFirst.Broken):
        kind = LLMExecution


@breaks("SES-3")
class KeepsTheStateOfTheFirst(_InsertsFirst):
    """Keeps the state of a session that is deleted and created again in one transaction."""

    class Broken(_InsertsFirst.Broken):
        kind = WorkflowExecutionState


@breaks("SES-2")
class ReleasesDocumentsWhenItCommits(BeginsBroken):
    """Deletes at the commit a document that the transaction released and stored again."""

    class Broken(DelegatingTransaction):
        async def delete_workflow(self, id):
            workflow = await self.get_workflow(id)
            await super().delete_workflow(id)
            vars(self).setdefault("deleted", []).append(workflow.definition)

        async def create_session(self, session):
            if session.workflow_snapshot in vars(self).get("deleted", ()):
                session = attrs.evolve(session, workflow_snapshot={})
            await super().create_session(session)


@breaks("OPS-2")
class TakesAnIdTwiceInOneTransaction(BeginsBroken):
    """Ignores a second insert of an id that the transaction itself inserted."""

    class Broken(DelegatingTransaction):
        async def create_budget_pool(self, pool):
            created = vars(self).setdefault("created", set())
            try:
                await super().create_budget_pool(pool)
            except AlreadyExistsError:
                if pool.id not in created:
                    raise
            created.add(pool.id)


@breaks("OPS-3")
class FlushesTheFirstSave(BeginsBroken):
    """Keeps the first of several saves of one node in a transaction."""

    class Broken(DelegatingTransaction):
        async def update_node_state(self, session_id, node_id, state):
            saved = vars(self).setdefault("saved", set())
            if (session_id, node_id) not in saved:
                await super().update_node_state(session_id, node_id, state)
                saved.add((session_id, node_id))


@breaks("OPS-4")
class UpdatesWhatWasCommitted(BeginsBroken):
    """Applies a second update in a transaction to the record as it was before the first."""

    class Broken(DelegatingTransaction):
        async def update_approval_request(self, id, /, **changes):
            first = vars(self).setdefault("first", {})
            if id not in first:
                first[id] = await self.get_approval_request(id)
            elif first[id] is not None:
                changes = {"context": first[id].context, "expires_at": first[id].expires_at, **changes}
            return await super().update_approval_request(id, **changes)


@breaks("BUD-1")
class ConsumesOnceInATransaction(BeginsBroken):
    """Reads the committed pool for a second consumption in a transaction."""

    class Broken(DelegatingTransaction):
        async def consume_budget(self, pool_id, amount):
            first = vars(self).setdefault("first", {})
            pool = await self.get_budget_pool(pool_id)
            if pool is not None and pool_id in first:
                await self.update_budget_pool(pool_id, used_budget=first[pool_id])
            elif pool is not None:
                first[pool_id] = pool.used_budget
            return await super().consume_budget(pool_id, amount)


@breaks("BUD-4")
class OverlooksNewChildren(BeginsBrokenInMemory):
    """Deletes a pool that got a child in the same transaction."""

    class Broken(MemoryTransaction):
        async def create_budget_pool(self, pool):
            await super().create_budget_pool(pool)
            vars(self).setdefault("created", set()).add(pool.id)

        async def delete_budget_pool(self, id):
            try:
                await super().delete_budget_pool(id)
            except ConflictError:
                created = vars(self).get("created", set())
                if not {pool.id for pool in await self.get_child_budget_pools(id)} <= created:
                    raise
                self._layers[-1].remove(type(await self.get_budget_pool(id)), id)


@breaks("APR-1")
class DecidesAgainInATransaction(BeginsBroken):
    """Decides a request again in the transaction that decided it."""

    class Broken(DelegatingTransaction):
        async def approve_request(self, id, approved_by, notes=None):
            try:
                decided = await super().approve_request(id, approved_by, notes)
            except ConflictError as error:
                if id not in vars(self).get("decided", ()):
                    raise
                return error.current
            vars(self).setdefault("decided", set()).add(id)
            return decided


class _KnowsWhenItBegan(DelegatingTransaction):
    def __init__(self, reference):
        super().__init__(reference)
        self.began_at = present()


@breaks("OPS-4")
class StampsWhenItBegan(BeginsBroken):
    """Sets `updated_at` to the begin of the transaction, like `now()` of a database."""

    class Broken(_KnowsWhenItBegan):
        async def update_session(self, id, /, **changes):
            return await super().update_session(id, **{"updated_at": self.began_at, **changes})


@breaks("APR-3")
class ExpiresWhatHadRunOutWhenItBegan(BeginsBroken):
    """Compares `expires_at` with the begin of the transaction when it expires requests."""

    class Broken(_KnowsWhenItBegan):
        async def expire_approvals(self, now=None):
            return await super().expire_approvals(self.began_at if now is None else now)


@breaks("APR-3")
class KeepsTheInstantOfItsFirstSweep(BeginsBroken):
    """Compares `expires_at` with the first `expire_approvals` of the transaction."""

    class Broken(DelegatingTransaction):
        async def expire_approvals(self, now=None):
            first = vars(self).setdefault("first", present())
            return await super().expire_approvals(first if now is None else now)


@breaks("APR-5")
class ListsWhatWasPendingWhenItBegan(BeginsBroken):
    """Compares `expires_at` with the begin of the transaction when it lists pending requests."""

    class Broken(_KnowsWhenItBegan):
        async def list_pending_approvals(self, filter=None):
            requests = await super().list_pending_approvals(filter)
            known = vars(self).setdefault("pending", {})
            for request in known.values():
                current = await self.get_approval_request(request.id)
                if current is not None and current.status == "pending" and current not in requests:
                    requests.append(current)
            return requests

        async def create_approval_request(self, request):
            await super().create_approval_request(request)
            if request.expires_at is not None and request.expires_at > self.began_at:
                vars(self).setdefault("pending", {})[request.id] = request


@breaks("TXN-7")
class RestartsTheClock(BeginsBrokenInMemory):
    """Restarts the timeout of a transaction at each write."""

    class Broken(MemoryTransaction):
        async def save_workflow(self, workflow):
            await super().save_workflow(workflow)
            self._ticket.grant()


@breaks("LLM-2")
class DeletesWhatMovedAway(BeginsBrokenInMemory):
    """Deletes with a session an execution that moved to another one in the same transaction."""

    class Broken(MemoryTransaction):
        async def save_llm_execution(self, session_id, node_id, result):
            await super().save_llm_execution(session_id, node_id, result)
            vars(self).setdefault("places", {}).setdefault(session_id, set()).add(result.id)

        async def delete_session(self, id):
            await super().delete_session(id)
            for execution in vars(self).get("places", {}).get(id, ()):
                self._layers[-1].remove(LLMExecution, execution)
