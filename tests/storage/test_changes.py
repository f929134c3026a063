"""What an update may change."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from aaow_storage import ApprovalRequest, BudgetPool, Patch, Session, SessionStatus, StoredWorkflow, now
from aaow_storage._changes import MUTABLE_FIELDS as MUTABLE_FIELDS_OF
from aaow_storage._changes import PATCHABLE_FIELDS
from aaow_storage.authoring import MAX_DEPTH, apply_changes, own_changes
from aaow_storage.errors import ValidationError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RECORDS = {
    "workflow": StoredWorkflow(
        name="n", version="1", definition={}, metadata={"a": 1}, created_at=NOON, updated_at=NOON
    ),
    "session": Session(workflow_id=None, workflow_snapshot={}, metadata={"a": 1}, created_at=NOON, updated_at=NOON),
    "pool": BudgetPool(total_budget=10, used_budget=4, metadata={"a": 1}, created_at=NOON),
    "request": ApprovalRequest(session_id="s", node_id="n", type="human_review", expires_at=NOON, created_at=NOON),
}
MUTABLE: dict[str, dict[str, Any]] = {
    "workflow": {"name": "m", "version": "2", "definition": {"b": 1}, "metadata": None, "updated_at": NOON},
    "session": {"status": SessionStatus.FAILED, "metadata": None, "updated_at": NOON},
    "pool": {"total_budget": Decimal(1), "used_budget": Decimal(2), "status": "suspended", "metadata": None},
    "request": {"context": {"b": 1}, "expires_at": None, "status": "expired"},
}
MUTABLE_FIELDS = [(kind, field) for kind, fields in MUTABLE.items() for field in fields]
IMMUTABLE_FIELDS = [
    (kind, field.name)
    for kind, record in RECORDS.items()
    for field in attrs.fields(type(record))
    if field.name not in MUTABLE[kind]
]


@pytest.mark.parametrize(("kind", "field"), MUTABLE_FIELDS)
def test_a_change_sets_the_field_it_names_and_leaves_the_others(kind: str, field: str):
    before, value = RECORDS[kind], MUTABLE[kind][field]
    after = apply_changes(before, {field: value})
    assert getattr(after, field) == value
    for other in attrs.fields(type(before)):
        if other.name not in {field, "updated_at"}:
            assert getattr(after, other.name) == getattr(before, other.name)


@pytest.mark.parametrize("kind", ["workflow", "session"])
def test_a_change_is_stamped_unless_the_caller_stamps_it(kind: str):
    record = RECORDS[kind]
    start = now()
    assert start <= apply_changes(record, {"metadata": None}).updated_at <= now()
    assert start <= apply_changes(record, {}).updated_at <= now()
    stamp = NOON + timedelta(days=1)
    assert apply_changes(record, {"updated_at": stamp}).updated_at == stamp


@pytest.mark.parametrize(("kind", "field"), IMMUTABLE_FIELDS)
def test_a_field_that_cannot_be_changed_is_refused_with_those_that_can(kind: str, field: str):
    record = RECORDS[kind]
    with pytest.raises(ValidationError) as caught:
        apply_changes(record, {field: getattr(record, field)})
    assert (caught.value.record, caught.value.field) == (type(record).__name__, field)
    assert caught.value.problem == f"cannot be changed; only {', '.join(MUTABLE[kind])} can be updated"


@pytest.mark.parametrize("kind", RECORDS)
def test_an_unknown_field_is_refused(kind: str):
    with pytest.raises(ValidationError, match=r"is not a field of \w+; only .* can be updated"):
        apply_changes(RECORDS[kind], {"nonsense": 1})


def test_the_remaining_budget_cannot_be_set():
    with pytest.raises(ValidationError, match=r"^BudgetPool\.remaining_budget: is derived and cannot be set"):
        apply_changes(RECORDS["pool"], {"remaining_budget": 1})


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("workflow", "name", None),
        ("workflow", "definition", []),
        ("session", "status", "nonsense"),
        ("session", "metadata", {"k": {1, 2}}),
        ("session", "updated_at", datetime(2026, 1, 1)),  # noqa: DTZ001 - the point
        ("session", "updated_at", None),
        ("pool", "total_budget", "ten"),
        ("pool", "used_budget", -1),
        ("request", "context", None),
        ("request", "expires_at", "tomorrow"),
    ],
)
def test_a_wrong_value_is_refused(kind: str, field: str, value: Any):
    with pytest.raises(ValidationError) as caught:
        apply_changes(RECORDS[kind], {field: value})
    assert caught.value.field.startswith(field)


@pytest.mark.parametrize("status", ["approved", "rejected", "pending", None, 7])
def test_a_request_is_decided_by_its_own_operations(status: Any):
    with pytest.raises(ValidationError, match=r"call approve_request\(\) or reject_request\(\)"):
        apply_changes(RECORDS["request"], {"status": status})


def test_a_change_of_a_pool_derives_no_status():
    assert apply_changes(RECORDS["pool"], {"used_budget": 10}).status == "active"


PATCHABLE = [
    ("workflow", "definition"),
    ("workflow", "metadata"),
    ("session", "metadata"),
    ("pool", "metadata"),
    ("request", "context"),
]


@pytest.mark.parametrize(("kind", "field"), PATCHABLE)
def test_a_patch_changes_the_keys_it_names_of_what_the_record_holds(kind: str, field: str):
    record = attrs.evolve(RECORDS[kind], **{field: {"a": {"b": 1, "c": 2}, "d": 3}})
    changed = apply_changes(record, {field: Patch({"a": {"b": None, "e": 4}, "f": [None]})})
    assert getattr(changed, field) == {"a": {"c": 2, "e": 4}, "d": 3, "f": [None]}
    assert getattr(record, field) == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(("kind", "field"), [each for each in MUTABLE_FIELDS if each not in PATCHABLE])
def test_a_patch_of_a_field_that_holds_no_object_is_refused(kind: str, field: str):
    for check in (apply_changes, lambda record, changes: own_changes(type(record), changes)):
        with pytest.raises(ValidationError, match="is no JSON object, so it cannot be patched; only") as caught:
            check(RECORDS[kind], {field: Patch({})})
        assert caught.value.field == field


def test_the_patchable_fields_are_those_that_hold_an_object():
    documents = {
        (type(record), name)
        for record in RECORDS.values()
        for name in MUTABLE_FIELDS_OF[type(record)]
        if isinstance(getattr(attrs.evolve(record), name), dict)
    }
    assert documents == {(kind, name) for kind, names in PATCHABLE_FIELDS.items() for name in names}


def test_own_changes_copies_a_patch():
    changes: dict[str, Any] = {"metadata": Patch({"a": [1]})}
    own = own_changes(Session, changes)
    changes["metadata"].changes["a"].append(2)
    assert own == {"metadata": Patch({"a": [1]})}


@pytest.mark.parametrize("wrong", [None, [], "x", {"a": {1, 2}}, {1: 2}, {"a": float("nan")}])
def test_a_patch_is_a_json_object(wrong: Any):
    with pytest.raises(ValidationError, match=r"^Patch\.changes"):
        Patch(wrong)


def test_a_patch_inside_a_patch_is_no_json():
    with pytest.raises(ValidationError, match="Patch is not JSON"):
        Patch({"a": Patch({})})


def test_a_patched_object_that_is_too_deep_is_refused():
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 1):
        deep = {"a": deep}
    assert apply_changes(RECORDS["session"], {"metadata": Patch(deep)}).metadata == {"a": {**deep["a"]}}
    object.__setattr__(patch := Patch({}), "changes", {"a": deep})
    with pytest.raises(ValidationError, match=r"^Session\.metadata.*nest at most"):
        apply_changes(RECORDS["session"], {"metadata": patch})
