"""`plan_query` for the defaults of the interface, whose modules are imported wherever the interface is.

What it needs takes a tenth of that time, and a backend with operations of its own may never run a default.
"""

from typing import TYPE_CHECKING

from aaow_storage._filters import QueryFilter

if TYPE_CHECKING:
    from aaow_storage._query_plan import QueryPlan


def plan_query(record: type, filter: QueryFilter | None, default_order: str) -> "QueryPlan":
    """See `_query_planner.plan_query`."""
    from aaow_storage._query_planner import plan_query as plan  # noqa: PLC0415 - see above

    return plan(record, filter, default_order)
