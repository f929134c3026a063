"""Filters: what cannot be built, and what is copied."""

from typing import Any

import pytest

from aaow_storage import (
    In,
    NotIn,
    OrderBy,
    QueryFilter,
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
    ],
)
def test_a_filter_that_makes_no_sense_cannot_be_built(make: Any, problem: str):
    with pytest.raises(ValidationError) as caught:
        make()
    assert str(caught.value).startswith(problem)


def test_a_filter_is_not_changed_by_later_changes_to_its_arguments():
    where, order, values = {"status": "pending"}, [OrderBy("id")], ["pending"]
    chosen = QueryFilter(where, order)
    among = In(values)
    where.clear()
    order.clear()
    values.clear()
    assert (chosen.where, chosen.order_by, among.values) == ({"status": "pending"}, (OrderBy("id"),), ("pending",))
