"""`only_if` of the `update_...` operations: a condition on the stored record, checked in the same atomic step."""

from collections.abc import Mapping
from typing import Any

from aaow_storage._filters import QueryFilter
from aaow_storage._operators import FieldName
from aaow_storage._query_plan import QueryPlan
from aaow_storage._query_planner import plan_query
from aaow_storage._records import KINDS
from aaow_storage.errors import ConflictError, ValidationError


def plan_only_if(operation: str, record: type, only_if: Mapping[FieldName, Any] | None) -> QueryPlan | None:
    """Check and copy the `only_if` of an update of a record; return its plan, for `check_only_if`. None stays None.

    Raises:
        ValidationError: it is not a mapping; or a field is unknown, a value has the wrong type for its field or
            operator, or it is too large, as in `QueryFilter.where`.
    """
    if only_if is None:
        return None
    if not isinstance(only_if, Mapping):
        problem = f"must map fields to values, as in {{'status': 'running'}}, not be {type(only_if).__name__}"
        raise ValidationError(operation, "only_if", problem)
    return plan_query(record, QueryFilter(only_if), "id")


def check_only_if(record: Any, plan: QueryPlan | None) -> None:
    """Check that the stored record, which the update has locked, meets the condition of the update.

    Raises:
        ConflictError: it does not; `current` is the record.
    """
    if plan is None or plan.matches(record):
        return
    fields = [leaf.field for each in plan.conditions for leaf in each.leaves()]
    names = ", ".join(dict.fromkeys(".".join((field.name, *field.path)) for field in fields))
    what = f"the {KINDS[type(record)].replace('_', ' ')} {record.id!r} does not meet only_if, on {names}"
    raise ConflictError(f"{what}: nothing was changed; the error's `current` is the stored record", record)
