"""The budget of a session: a pool for the workflow, in it a pool for the session, in that one for each kind of work."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_UP, Decimal, InvalidOperation

from attrs import frozen

from aaow_storage import BudgetPool, JSONObject, QueryFilter, StorageOperations, StoredWorkflow
from definition import Node, nodes_of
from model import expected_cost

_CENT = Decimal("0.01")
_TENTH_OF_A_CENT = Decimal("0.001")
_SESSIONS_IN_A_WORKFLOW_POOL = 50
_MAX_LIMIT_USD = 1_000_000
_SCARCE = Decimal("0.7")
_AMPLE = Decimal("1.2")


@frozen
class Budget:
    """The pool of a session, and the pools inside it by name."""

    session_pool_id: str
    pool_ids: Mapping[str, str]

    def pool_id(self, node: Node) -> str:
        """Return the pool that pays for a step."""
        return self.pool_ids.get(_pool_name(node), self.session_pool_id)


async def create_budget(tx: StorageOperations, workflow: StoredWorkflow, session_id: str) -> Budget:
    """Create the pools of a session inside of its workflow's pool, which the first session creates."""
    limits, limit = _limits(workflow.definition, nodes_of(workflow.definition))
    this_workflow = QueryFilter(where={"metadata.workflow_id": workflow.id, "parent_pool_id": None}, limit=1)
    workflow_pool = next(iter(await tx.list_budget_pools(this_workflow)), None)
    if workflow_pool is None:
        workflow_pool = BudgetPool(
            total_budget=limit * _SESSIONS_IN_A_WORKFLOW_POOL,
            metadata={"name": "workflow", "currency": "USD", "workflow_id": workflow.id},
        )
        await tx.create_budget_pool(workflow_pool)
    session_pool = BudgetPool(
        parent_pool_id=workflow_pool.id,
        total_budget=limit,
        metadata={"name": "session", "currency": "USD", "session_id": session_id},
    )
    await tx.create_budget_pool(session_pool)
    pool_ids = {}
    for name, amount in limits.items():
        pool = BudgetPool(
            parent_pool_id=session_pool.id, total_budget=amount, metadata={"name": name, "currency": "USD"}
        )
        await tx.create_budget_pool(pool)
        pool_ids[name] = pool.id
    return Budget(session_pool.id, pool_ids)


def name_of(pool: BudgetPool) -> str:
    """Return the name of the pool, or its id if it has none."""
    return str((pool.metadata or {}).get("name", pool.id))


def increase_for(pool: BudgetPool, missing: Decimal) -> Decimal:
    """Return the amount to ask for: half of the pool's total, or the missing amount if that is more."""
    return _rounded(max(pool.total_budget / 2, missing))


def _pool_name(node: Node) -> str:
    return node.budget or f"{node.kind} steps"


def _limits(definition: JSONObject, nodes: Sequence[Node]) -> tuple[dict[str, Decimal], Decimal]:
    """Return the limits of the pools by name, and that of the session: those of the definition, if it has any.

    Otherwise the pool that will be used most gets less than it will need, so that the run shows what happens then.
    """
    budget = definition.get("budget")
    budget = budget if isinstance(budget, dict) else {}
    pools = budget.get("pools")
    wanted = {name: _amount(value) for name, value in pools.items()} if isinstance(pools, dict) else {}
    costs: dict[str, Decimal] = {}
    for node in nodes:
        if cost := expected_cost(node):
            costs[_pool_name(node)] = costs.get(_pool_name(node), Decimal(0)) + cost
    most_used = None if any(wanted.values()) else max(costs, key=lambda name: costs[name], default=None)
    limits = {
        name: wanted.get(name) or _rounded(cost * (_SCARCE if name == most_used else _AMPLE))
        for name, cost in costs.items()
    }
    return limits, _amount(budget.get("limit")) or sum(limits.values(), _CENT) * 2


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_TENTH_OF_A_CENT, ROUND_UP)


def _amount(value: object) -> Decimal | None:
    """Return an amount of a definition, or None if it is not a sensible one."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return _rounded(amount) if amount.is_finite() and 0 < amount < _MAX_LIMIT_USD else None
