"""The operations on budgets and approvals."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from aaow_ledger._operations import RecordOperations
from aaow_ledger._rows import checked
from aaow_storage import ApprovalRequest, ApprovalStatus, BudgetPool, ConflictError, QueryFilter, Session, now
from aaow_storage.authoring import (
    check_id,
    check_instant,
    check_text,
    consumed,
    has_run_out,
    increased,
    is_decidable,
    plan_query,
    positive_amount,
    resolved,
)

present = now  # `expire_approvals` has an argument of that name


class LedgerOperations(RecordOperations):
    """Budgets and approvals: their rules are functions of `aaow_storage.authoring`, the same for every backend."""

    async def create_budget_pool(self, pool: BudgetPool) -> None:
        pool = checked("create_budget_pool", "pool", pool, BudgetPool)
        async with self._writing() as rows:
            rows.check_new(BudgetPool, pool.id)
            rows.check_parent(BudgetPool, pool.parent_pool_id)
            rows.put(pool.id, pool)

    async def get_budget_pool(self, id: str) -> BudgetPool | None:
        return self._get(BudgetPool, id)

    async def list_budget_pools(self, filter: QueryFilter | None = None) -> list[BudgetPool]:
        return self._list(BudgetPool, filter)

    async def get_child_budget_pools(self, parent_id: str, filter: QueryFilter | None = None) -> list[BudgetPool]:
        return self._list(BudgetPool, filter, parent_pool_id=parent_id)

    async def update_budget_pool(self, id: str, /, **changes: Any) -> BudgetPool:
        return await self._update(BudgetPool, id, changes)

    async def delete_budget_pool(self, id: str) -> None:
        id = check_id("delete_budget_pool", "id", id)
        async with self._writing() as rows:
            pool = rows.existing(BudgetPool, id)
            if rows.all(BudgetPool, parent_pool_id=id):
                raise ConflictError(f"the budget pool {id!r} has children", pool)
            del rows[BudgetPool, id]

    async def consume_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        pool_id = check_id("consume_budget", "pool_id", pool_id)
        amount = positive_amount("consume_budget", amount)
        async with self._writing() as rows:
            chain = [rows.existing(BudgetPool, pool_id)]
            while chain[-1].parent_pool_id is not None:
                chain.append(rows.existing(BudgetPool, chain[-1].parent_pool_id))
            for pool in consumed(chain, amount):
                rows.put(pool.id, pool)
            return rows.find(BudgetPool, pool_id)

    async def increase_budget(self, pool_id: str, amount: Decimal | float | str) -> BudgetPool:
        pool_id = check_id("increase_budget", "pool_id", pool_id)
        amount = positive_amount("increase_budget", amount)
        async with self._writing() as rows:
            rows.put(pool_id, increased(rows.existing(BudgetPool, pool_id), amount))
            return rows.find(BudgetPool, pool_id)

    async def create_approval_request(self, request: ApprovalRequest) -> None:
        request = checked("create_approval_request", "request", request, ApprovalRequest)
        async with self._writing() as rows:
            rows.check_new(ApprovalRequest, request.id)
            rows.check_parent(Session, request.session_id)
            rows.put(request.id, request)

    async def get_approval_request(self, id: str) -> ApprovalRequest | None:
        return self._get(ApprovalRequest, id)

    async def list_approval_requests(self, session_id: str, filter: QueryFilter | None = None) -> list[ApprovalRequest]:
        return self._list(ApprovalRequest, filter, session_id=session_id)

    async def list_pending_approvals(self, filter: QueryFilter | None = None) -> list[ApprovalRequest]:
        at = now()
        requests = [request for request in self._reading().all(ApprovalRequest) if is_decidable(request, at)]
        return plan_query(ApprovalRequest, filter, "created_at").select(requests)

    async def update_approval_request(self, id: str, /, **changes: Any) -> ApprovalRequest:
        return await self._update(ApprovalRequest, id, changes)

    async def approve_request(self, id: str, approved_by: str, notes: str | None = None) -> ApprovalRequest:
        approved_by = check_text("approve_request", "approved_by", approved_by)
        return await self._resolve(id, ApprovalStatus.APPROVED, approved_by, notes)

    async def reject_request(self, id: str, rejected_by: str, reason: str | None = None) -> ApprovalRequest:
        rejected_by = check_text("reject_request", "rejected_by", rejected_by)
        return await self._resolve(id, ApprovalStatus.REJECTED, rejected_by, reason)

    async def _resolve(self, id: str, status: ApprovalStatus, by: str, notes: str | None) -> ApprovalRequest:
        id = check_id("resolve", "id", id)
        if notes is not None:
            notes = check_text("resolve", "notes", notes)
        async with self._writing() as rows:
            rows.put(id, resolved(rows.existing(ApprovalRequest, id), status, by=by, notes=notes, at=now()))
            return rows.find(ApprovalRequest, id)

    async def expire_approvals(self, now: datetime | None = None) -> list[ApprovalRequest]:
        at = present() if now is None else check_instant("expire_approvals", "now", now)
        async with self._writing() as rows:
            pending = rows.all(ApprovalRequest, status=ApprovalStatus.PENDING)
            expired = [attrs.evolve(each, status=ApprovalStatus.EXPIRED) for each in pending if has_run_out(each, at)]
            for request in expired:
                rows.put(request.id, request)
        return plan_query(ApprovalRequest, None, "created_at").select(expired)
