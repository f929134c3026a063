"""`only_if`: its plan, and the check of a stored record."""

from typing import Any

import pytest

from aaow_storage import BudgetPool, In, Lt, Session, StoredWorkflow
from aaow_storage.authoring import check_only_if, plan_only_if
from aaow_storage.errors import ConflictError, ValidationError

SESSION = Session(id="s", workflow_id=None, workflow_snapshot={"nodes": 2}, metadata={"a": {"b": 1}})


def test_no_condition_always_holds():
    assert plan_only_if("update_session", Session, None) is None
    check_only_if(SESSION, None)
    check_only_if(SESSION, plan_only_if("update_session", Session, {}))


@pytest.mark.parametrize(
    "only_if",
    [{"status": "running"}, {"status": In(["running"]), "metadata.a.b": Lt(2)}, {("workflow_snapshot", "nodes"): 2}],
)
def test_a_record_that_meets_the_condition_passes(only_if: Any):
    check_only_if(SESSION, plan_only_if("update_session", Session, only_if))


def test_a_record_that_does_not_meet_it_comes_with_the_error():
    plan = plan_only_if("update_session", Session, {"status": "paused", "metadata.a.b": 1, ("metadata", "x.y"): None})
    with pytest.raises(ConflictError) as caught:
        check_only_if(SESSION, plan)
    assert caught.value.current is SESSION
    assert str(caught.value) == (
        "the session 's' does not meet only_if, on status, metadata.a.b, metadata.x.y: "
        "nothing was changed; the error's `current` is the stored record"
    )


def test_the_error_names_the_kind_of_record():
    plan = plan_only_if("update_budget_pool", BudgetPool, {"used_budget": 3})
    with pytest.raises(ConflictError, match=r"^the budget pool 'p' does not meet only_if, on used_budget"):
        check_only_if(BudgetPool(id="p", total_budget=4), plan)


@pytest.mark.parametrize("wrong", ["status", 7, [("status", "running")], True])
def test_what_is_no_mapping_is_refused(wrong: Any):
    with pytest.raises(ValidationError, match=r"^update_session\.only_if: must map fields to values, .* not be \w+$"):
        plan_only_if("update_session", Session, wrong)


@pytest.mark.parametrize("wrong", [{"state": 1}, {"version": 2}, {"definition": {}}, {7: 1}, {"name": Lt(None)}])
def test_what_no_filter_may_have_is_refused(wrong: Any):
    with pytest.raises(ValidationError):
        plan_only_if("update_workflow", StoredWorkflow, wrong)


def test_a_condition_is_a_copy():
    only_if = {"status": "running"}
    plan = plan_only_if("update_session", Session, only_if)
    only_if["status"] = "paused"
    check_only_if(SESSION, plan)
