"""Filters: what cannot be built, and what is copied."""

import copy
import pickle
from typing import Any, get_args

import pytest

from aaow_storage import (
    All,
    AnyOf,
    Between,
    In,
    Not,
    NotIn,
    OrderBy,
    QueryFilter,
    _enums,
)
from aaow_storage.errors import ValidationError


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: QueryFilter(limit=-1), "QueryFilter.limit: must be from 0 to 2**63-1, not -1"),
        (lambda: QueryFilter(limit=True), "QueryFilter.limit: must be int, not bool"),
        (lambda: QueryFilter(limit=1.0), "QueryFilter.limit: must be int, not float"),
        (lambda: QueryFilter(offset=-1), "QueryFilter.offset: must be from 0 to 2**63-1, not -1"),
        (lambda: QueryFilter(offset=None), "QueryFilter.offset: must be int, not NoneType"),
        (lambda: QueryFilter(offset=2**63), "QueryFilter.offset: must be from 0 to 2**63-1, not 9223372036854775808"),
        (lambda: QueryFilter("status"), "QueryFilter.where: must map fields to values"),
        (lambda: QueryFilter(order_by="created_at"), "QueryFilter.order_by: must be OrderBy"),
        (lambda: QueryFilter(order_by=["created_at"]), "QueryFilter.order_by: must be OrderBy"),
        (lambda: OrderBy("id", "up"), "OrderBy.direction: 'up' is not one of asc, desc"),
        (lambda: In("abc"), "In.values: must be a list, tuple or set of values, not str"),
        (lambda: NotIn(None), "NotIn.values: must be a list, tuple or set of values, not NoneType"),
        (lambda: QueryFilter().after(None), "QueryFilter.after: must be the last record of the page before"),
        (
            lambda: QueryFilter(any_of={"id": "a"}),
            "QueryFilter.any_of: must be a list or tuple of mappings such as where",
        ),
        (lambda: QueryFilter(any_of=["id"]), "QueryFilter.any_of: must map fields to values"),
        (lambda: QueryFilter(any_of=[{1: "a"}]), "QueryFilter.any_of: must name a field (str) or a path"),
        (lambda: QueryFilter().cursor(None), "QueryFilter.cursor: must be given a record of a list"),
    ],
)
def test_a_filter_that_makes_no_sense_cannot_be_built(make: Any, problem: str):
    with pytest.raises(ValidationError) as caught:
        make()
    assert str(caught.value).startswith(problem)


def test_a_filter_is_not_changed_by_later_changes_to_its_arguments():
    where, order, values, any_of = {"status": "pending"}, [OrderBy("id")], ["pending"], [{"id": "a"}]
    chosen = QueryFilter(where, order, any_of=any_of)
    among = In(values)
    where.clear()
    order.clear()
    values.clear()
    any_of[0].clear()
    any_of.clear()
    assert chosen.any_of == ({"id": "a"},)
    assert (chosen.where, chosen.order_by, among.values) == ({"status": "pending"}, (OrderBy("id"),), ("pending",))


@pytest.mark.parametrize(
    ("words", "enum"),
    [
        (_enums.SessionStatusWord, _enums.SessionStatus),
        (_enums.NodeExecutionStatusWord, _enums.NodeExecutionStatus),
        (_enums.BudgetPoolStatusWord, _enums.BudgetPoolStatus),
        (_enums.ApprovalTypeWord, _enums.ApprovalType),
        (_enums.ApprovalStatusWord, _enums.ApprovalStatus),
        (_enums.DirectionWord, _enums.Direction),
    ],
)
def test_a_type_checker_knows_every_word_of_an_enumeration(words: Any, enum: type):
    assert get_args(words) == tuple(map(str, enum))


def test_operators_can_be_copied_pickled_and_compared():
    operators = [All("a", Not(None)), AnyOf(), Not(Between(1, 2)), Between("a", "b"), In(["a"])]
    assert pickle.loads(pickle.dumps(operators)) == copy.deepcopy(operators) == operators
    assert All("a") != AnyOf("a")
    assert repr(AnyOf("a", Not(1))) == "AnyOf(conditions=('a', Not(condition=1)))"
