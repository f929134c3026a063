"""The page `budget`: a pool with those above and inside of it, and the sessions that take from it."""

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from aaow_storage import FieldName, In, OrderBy, QueryFilter, Session, UsageSummary, WorkflowExecutionState
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.pool_trees import PoolRow
from aaow_storage_studio._web.session_usage import usage_of_sessions
from aaow_storage_studio._web.time_limits import within
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import BudgetView, view_budget

MAX_POOLS = 100
"""How many pools inside of the pool are read."""
NEWEST_SESSIONS = 500
"""How many of the newest sessions are looked through for those that take from the pool."""
PAGE_LENGTH = 50
PATIENCE_S = 20.0
"""How long all sessions are looked through."""


@frozen(kw_only=True)
class Consumer:
    """A session that takes from a pool.

    Attributes:
        session: the session, without its snapshot.
        pool_id: the pool: the one of the page, or one inside of it.
        usage: what its model calls used and cost, None if it has none.
    """

    session: Session
    pool_id: str
    usage: UsageSummary | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        usage = None if self.usage is None else self.usage.to_dict()
        return {"session": self.session.to_dict(), "budget_pool_id": self.pool_id, "usage": usage}


@frozen(kw_only=True)
class BudgetPage:
    """What the page shows.

    Attributes:
        row: the pool.
        rows: all pools of its tree: those above it, itself, and those inside of it.
        is_complete: whether all pools inside of it are there.
        consumers: a page of the sessions that take from it, or from a pool of `rows` inside of it; the latest id first.
        looks_at_all: whether all sessions were looked through, and not the newest ones alone.
        has_more: whether there are more among those that were looked through.
        next_after: where the next page begins, None if there is none, or not all were looked through.
        took_too_long: whether there are no consumers because looking through all sessions takes too long.
    """

    row: PoolRow
    rows: Sequence[PoolRow]
    is_complete: bool
    consumers: Sequence[Consumer]
    looks_at_all: bool
    has_more: bool
    next_after: str | None
    took_too_long: bool
    newest: int = NEWEST_SESSIONS
    patience_s: float = PATIENCE_S

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "pool": self.row.to_dict(),
            "pools": [row.to_dict() for row in self.rows],
            "is_complete": self.is_complete,
            "sessions": [each.to_dict() for each in self.consumers],
            "sessions_of": "all" if self.looks_at_all else f"the newest {NEWEST_SESSIONS}",
            "has_more": self.has_more,
            "next": self.next_after,
            "took_too_long": self.took_too_long,
        }


async def read(visit: Visit) -> BudgetPage:
    """Read the page: `id` is the pool; `sessions=all` looks through all sessions, `after` is the cursor of these."""
    pool_id = visit.required("id")
    view = await view_budget(visit.storage, pool_id, max_pools=MAX_POOLS)
    rows = _rows_of(view)
    place = next(place for place, row in enumerate(rows) if row.pool.id == pool_id)
    pool_ids = [row.pool.id for row in rows[place:]]
    looks_at_all = visit.text("sessions") == "all"
    page = QueryFilter({"budget_pool_id": In(pool_ids)}, OrderBy("session_id", "desc"), limit=PAGE_LENGTH + 1)
    if looks_at_all:
        after = visit.text("after")
        states = await within(PATIENCE_S, visit.storage.list_execution_states(page.after(after) if after else page))
    else:
        states = await _of_newest(visit, pool_ids)
    found = (states or [])[:PAGE_LENGTH]
    has_more = states is not None and len(states) > PAGE_LENGTH
    return BudgetPage(
        row=rows[place],
        rows=rows,
        is_complete=view.is_complete,
        consumers=await _consumers(visit, found),
        looks_at_all=looks_at_all,
        has_more=has_more,
        next_after=page.cursor(found[-1]) if has_more and looks_at_all else None,
        took_too_long=states is None,
    )


def _rows_of(view: BudgetView) -> list[PoolRow]:
    return [
        PoolRow(
            pool=each.pool,
            depth=each.depth,
            used_by_children=each.used_by_children,
            hides_pools=each.used_by_children is None,
        )
        for each in view.pools
    ]


async def _of_newest(visit: Visit, pool_ids: Sequence[str]) -> list[WorkflowExecutionState]:
    newest = QueryFilter(order_by=OrderBy("created_at", "desc"), limit=NEWEST_SESSIONS, documents=False)
    session_ids = [session.id for session in await visit.storage.list_sessions(newest)]
    if not session_ids:
        return []
    where: dict[FieldName, Any] = {"budget_pool_id": In(pool_ids), "session_id": In(session_ids)}
    page = QueryFilter(where, OrderBy("session_id", "desc"), limit=PAGE_LENGTH + 1)
    return await visit.storage.list_execution_states(page)


async def _consumers(visit: Visit, states: Sequence[WorkflowExecutionState]) -> list[Consumer]:
    if not states:
        return []
    ids = [state.session_id for state in states]
    sessions = await visit.storage.list_sessions(QueryFilter({"id": In(ids)}, documents=False))
    by_id = {session.id: session for session in sessions}
    usage = await usage_of_sessions(visit.storage, ids)
    return [
        Consumer(session=by_id[each.session_id], pool_id=each.budget_pool_id or "", usage=usage.get(each.session_id))
        for each in states
        if each.session_id in by_id
    ]


PAGES = (Page("budget", "budget.html", read),)
