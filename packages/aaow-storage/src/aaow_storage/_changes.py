"""What the `update_...` operations may change: one TypedDict a record, and the functions that check and apply it."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict, TypeVar

import attrs

from aaow_storage._enums import ApprovalStatus, BudgetPoolStatus, BudgetPoolStatusWord, SessionStatus, SessionStatusWord
from aaow_storage._ids import now
from aaow_storage._json import JSONObject, dumps, loads
from aaow_storage._patches import Patch
from aaow_storage._records import DOCUMENT_FIELDS, ApprovalRequest, BudgetPool, Session, StoredWorkflow
from aaow_storage._values import member_or_same, shown
from aaow_storage.errors import ValidationError


class WorkflowChanges(TypedDict, total=False):
    """The fields of a `StoredWorkflow` that `update_workflow` may set."""

    name: str
    version: str
    definition: JSONObject | Patch
    metadata: JSONObject | Patch | None
    updated_at: datetime


class SessionChanges(TypedDict, total=False):
    """The fields of a `Session` that `update_session` may set."""

    status: SessionStatus | SessionStatusWord
    metadata: JSONObject | Patch | None
    updated_at: datetime


class BudgetPoolChanges(TypedDict, total=False):
    """The fields of a `BudgetPool` that `update_budget_pool` may set."""

    total_budget: Decimal | float | str
    used_budget: Decimal | float | str
    status: BudgetPoolStatus | BudgetPoolStatusWord
    metadata: JSONObject | Patch | None


class ApprovalChanges(TypedDict, total=False):
    """The fields of a pending `ApprovalRequest` that `update_approval_request` may set; `status` only to expired."""

    context: JSONObject | Patch
    expires_at: datetime | None
    status: Literal[ApprovalStatus.EXPIRED, "expired"]


MUTABLE_FIELDS: dict[type, tuple[str, ...]] = {
    StoredWorkflow: tuple(WorkflowChanges.__annotations__),
    Session: tuple(SessionChanges.__annotations__),
    BudgetPool: tuple(BudgetPoolChanges.__annotations__),
    ApprovalRequest: tuple(ApprovalChanges.__annotations__),
}

PATCHABLE_FIELDS: dict[type, tuple[str, ...]] = {
    StoredWorkflow: ("definition", "metadata"),
    Session: ("metadata",),
    BudgetPool: ("metadata",),
    ApprovalRequest: ("context",),
}
"""The fields that hold a JSON object, so that a `Patch` may change them."""

RecordT = TypeVar("RecordT", StoredWorkflow, Session, BudgetPool, ApprovalRequest)


def apply_changes(record: RecordT, changes: Any) -> RecordT:
    """Return the record with the changes of an `update_...` operation; a `Patch` changes what the record holds.

    `updated_at`, if the record has it and the changes do not name it, becomes now.

    Raises:
        ValidationError: a field is unknown or immutable, or its new value is wrong.
    """
    kind = type(record)
    check_changes(kind, changes)
    if any(isinstance(value, Patch) for value in changes.values()):
        changes = {
            name: value.applied_to(getattr(record, name)) if isinstance(value, Patch) else value
            for name, value in changes.items()
        }
    if "updated_at" in MUTABLE_FIELDS[kind]:
        changes = {"updated_at": now(), **changes}
    name = DOCUMENT_FIELDS.get(kind)
    if name is None or name in changes:
        return attrs.evolve(record, **changes)
    # The stored document is kept without another check: for a large one, the check takes longer than all the rest.
    changed = attrs.evolve(record, **{name: {}, **changes})
    object.__setattr__(changed, name, getattr(record, name))
    return changed


def own_changes(kind: type, changes: Any) -> dict[str, Any]:
    """Return the changes with copies of their lists and dicts, so that later changes by the caller have no effect.

    Raises:
        ValidationError: a field is unknown, derived or immutable, or cannot be patched; or a list or dict is not JSON.
    """
    check_changes(kind, changes)
    return {name: _own(kind, name, value) for name, value in changes.items()}


def _own(kind: type, name: str, value: Any) -> Any:
    if isinstance(value, Patch):
        return Patch(_own(kind, name, value.changes))
    return loads(dumps(value, record=kind.__name__, field=name)) if isinstance(value, dict | list) else value


def check_changes(kind: type, changes: Any) -> None:
    """Check that every named field may be changed, and patched if the value is a `Patch`; look at no other value.

    Raises:
        ValidationError: a field is unknown, derived or immutable, or cannot be patched.
    """
    mutable = MUTABLE_FIELDS[kind]
    for name, value in changes.items():
        if name in mutable:
            if isinstance(value, Patch) and name not in PATCHABLE_FIELDS[kind]:
                problem = f"is no JSON object, so it cannot be patched; only {', '.join(PATCHABLE_FIELDS[kind])} can be"
                raise ValidationError(kind.__name__, name, problem)
            continue
        if name in attrs.fields_dict(kind):
            problem = "cannot be changed"
        elif hasattr(kind, name):
            problem = "is derived and cannot be set"
        else:
            problem = f"is not a field of {kind.__name__}"
        raise ValidationError(kind.__name__, name, f"{problem}; only {', '.join(mutable)} can be updated")
    status = changes.get("status", ApprovalStatus.EXPIRED)
    if kind is ApprovalRequest and member_or_same(ApprovalStatus, status) is not ApprovalStatus.EXPIRED:
        remedy = "to decide, call approve_request() or reject_request()"
        problem = f"may only be updated to 'expired', not {shown(changes['status'])}; {remedy}"
        raise ValidationError(kind.__name__, "status", problem)
