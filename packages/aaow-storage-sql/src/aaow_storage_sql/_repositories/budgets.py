"""Budget pools."""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from aaow_storage import BudgetPool, QueryFilter
from aaow_storage.authoring import QueryPlan, consumed, increased, plan_query
from aaow_storage.errors import ConflictError, CorruptDataError, NotFoundError
from aaow_storage_sql._mapping.record_rows import BUDGET_POOL_FIELDS
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._mapping.rows import (
    change_stored,
    hydrate,
    hydrate_all,
    update_by_id,
    update_parameters,
)
from aaow_storage_sql._operation import Lookup, operation
from aaow_storage_sql._repositories.recording import CREATED, DELETED, record_update
from aaow_storage_sql._schema.tables import budget_pools
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import insert_row
from aaow_storage_sql._statements.plan import plan_rows
from aaow_storage_sql._statements.select import Source

_ROWS = sa.select(*(budget_pools.c[name] for name in BUDGET_POOL_FIELDS))
_BY_ID = _ROWS.where(budget_pools.c.id == sa.bindparam("id"))
_A_CHILD = sa.select(budget_pools.c.id).where(budget_pools.c.parent_pool_id == sa.bindparam("id")).limit(1)
_DELETE = sa.delete(budget_pools).where(budget_pools.c.id == sa.bindparam("id"))
_CHANGING = ("total_budget", "used_budget", "status", "metadata")
_UPDATE = update_by_id(budget_pools, _CHANGING)
_SOURCE = Source(_ROWS, dict(budget_pools.c))
_CHILDREN = Source(_ROWS.where(budget_pools.c.parent_pool_id == sa.bindparam("in_pool")), dict(budget_pools.c))


@operation(writes=True, is_single_statement=True)
def create(connection: SQLConnection, row: InsertedRow) -> None:
    """Insert the pool."""
    insert_row(connection, budget_pools, row)
    connection.record("budget_pool", row["id"], None, CREATED)


_LOOKUP = Lookup("budget_pool", _BY_ID, lambda row: hydrate(BudgetPool, BUDGET_POOL_FIELDS, row))
get = _LOOKUP.as_operation()


@operation(writes=False)
def list_all(connection: SQLConnection, filter: QueryFilter | None) -> list[BudgetPool]:
    """Return the pools that match the filter."""
    plan = plan_query(BudgetPool, filter, "created_at")
    return hydrate_all(BudgetPool, BUDGET_POOL_FIELDS, plan_rows(connection, _SOURCE, plan))


@operation(writes=False)
def children(connection: SQLConnection, parent_id: str, filter: QueryFilter | None) -> list[BudgetPool]:
    """Return the child pools that match the filter."""
    plan = plan_query(BudgetPool, filter, "created_at")
    return hydrate_all(BudgetPool, BUDGET_POOL_FIELDS, plan_rows(connection, _CHILDREN, plan, {"in_pool": parent_id}))


@operation(writes=True)
def update(connection: SQLConnection, id: str, only_if: QueryPlan | None, changes: Any) -> BudgetPool:
    """Apply the changes to the stored pool."""
    stored = _LOOKUP.lock(connection, id)
    changed = change_stored(stored, only_if, changes)
    _update_row(connection, stored, changed)
    return changed


@operation(writes=True)
def delete(connection: SQLConnection, id: str) -> None:
    """Delete a pool without children."""
    stored = _LOOKUP.lock(connection, id)
    child = connection.row(_A_CHILD, {"id": id})
    if child is not None:
        raise ConflictError(f"the budget pool {id!r} has children, such as {child[0]!r}: delete them first", stored)
    connection.run(_DELETE, {"id": id})
    connection.record("budget_pool", id, None, DELETED)


@operation(writes=True)
def consume(connection: SQLConnection, id: str, amount: Decimal) -> BudgetPool:
    """Add the amount to the used budget of the pool and of each ancestor."""
    stored = _lock_with_ancestors(connection, id)
    changed = consumed(stored, amount)
    for before, pool in zip(stored, changed, strict=True):
        _update_row(connection, before, pool)
    return changed[0]


@operation(writes=True)
def increase(connection: SQLConnection, id: str, amount: Decimal) -> BudgetPool:
    """Add the amount to the total budget of the pool."""
    stored = _LOOKUP.lock(connection, id)
    changed = increased(stored, amount)
    _update_row(connection, stored, changed)
    return changed


def _lock_with_ancestors(connection: SQLConnection, id: str) -> list[BudgetPool]:
    """Return the pool and its ancestors, and lock their rows until the transaction ends.

    Raises:
        NotFoundError: there is no such pool.
        CorruptDataError: an ancestor is missing, or is its own ancestor.
    """
    pools = [_LOOKUP.lock(connection, id)]
    ids = {id}
    while (parent_id := pools[-1].parent_pool_id) is not None:
        try:
            parent = _LOOKUP.lock(connection, parent_id)
        except NotFoundError as error:
            raise CorruptDataError(
                f"the parent {parent_id!r} of the budget pool {pools[-1].id!r} is missing"
            ) from error
        if parent_id in ids:
            raise CorruptDataError(f"the budget pool {parent_id!r} is an ancestor of itself")
        ids.add(parent_id)
        pools.append(parent)
    return pools


def _update_row(connection: SQLConnection, stored: BudgetPool, pool: BudgetPool) -> None:
    connection.run(_UPDATE, update_parameters(_CHANGING, pool))
    record_update(connection, stored, pool)
