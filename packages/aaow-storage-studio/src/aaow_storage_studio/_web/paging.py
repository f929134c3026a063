"""Lists in pages: the filter, the order and the place in the URL, one page at a time, never a count unless asked."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from attrs import frozen

from aaow_storage import FieldName, OrderBy, QueryFilter
from aaow_storage.authoring import DEFAULT_ORDER
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import QueryError, parse_order, parse_query

R = TypeVar("R")

_CONDITION = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+')
PAGE_LENGTH = 50
MAX_PAGE_LENGTH = 500


@frozen
class Listed(Generic[R]):
    """A page of a list.

    Attributes:
        records: the records, at most as many as the page has.
        query: the filter as it was written.
        order: the order as it was written; empty for the usual one.
        problem: what is wrong with the filter or the order; the list is then empty.
        next_after: the cursor of the next page, None on the last one.
        is_first: whether it is the first page.
        where: the conditions of the list, for a count; None if the filter cannot be understood.
    """

    records: Sequence[R]
    query: str
    order: str
    problem: str | None
    next_after: str | None
    is_first: bool
    where: Mapping[FieldName, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the page as JSON; `next` is the cursor that `?after=` takes."""
        return {
            "query": self.query,
            "order": self.order,
            "problem": self.problem,
            "records": [record.to_dict() for record in self.records],  # type: ignore[attr-defined]  # of any class
            "next": self.next_after,
        }


async def read_list(
    visit: Visit,
    record: type[R],
    list_page: Callable[[QueryFilter], Awaitable[list[R]]],
    *,
    where: Mapping[FieldName, Any] | None = None,
    conditions: Sequence[str] = (),
    order: str | None = None,
    after: str | None = None,
    length: int | None = None,
) -> Listed[R]:
    """Read the page of a list that the URL names: `q` is the filter, `order`, `after` the cursor, `limit` the length.

    Args:
        visit: the request.
        record: the class of the records.
        list_page: lists those that match a filter.
        where: what they have to meet besides.
        conditions: the same in the query language.
        order: the order if the URL has none; the newest come first if that is None.
        after: the cursor, in place of that of the URL.
        length: the length, in place of that of the URL.
    """
    query, given_order = visit.text("q"), visit.text("order")
    length = page_length(visit) if length is None else length
    after = visit.text("after") if after is None else after
    try:
        wanted_order = given_order or order
        keys = parse_order(record, wanted_order) if wanted_order else _newest_first(record)
        wanted = parse_query(record, [*conditions_of(query), *conditions])
        all_wanted = {**wanted, **(where or {})}
        page = QueryFilter(all_wanted, keys, length + 1, documents=False)
        found = await list_page(page.after(after) if after else page)
    except QueryError as error:
        return Listed((), query, given_order, str(error), None, not after)
    records = found[:length]
    is_last = len(found) <= length
    return Listed(
        records, query, given_order, None, None if is_last else page.cursor(records[-1]), not after, all_wanted
    )


def conditions_of(query: str) -> list[str]:
    """Return the conditions of a filter as it is written, apart by spaces; quotes keep spaces together.

    Raises:
        QueryError: a quote is open.
    """
    if _CONDITION.sub("", query).strip():
        raise QueryError(query, 'has a quote that is not closed; write "..." around a value, and \\" inside')
    return _CONDITION.findall(query)


def _newest_first(record: type) -> tuple[OrderBy, ...]:
    return (OrderBy(DEFAULT_ORDER[record], "desc"),)


def page_length(visit: Visit) -> int:
    """Return how many records a page has: the `limit` of the URL if it is a number, but not more than is allowed."""
    text = visit.text("limit")
    if not text.isdecimal() or not text.strip("0"):
        return PAGE_LENGTH
    return MAX_PAGE_LENGTH if len(text) > len(str(MAX_PAGE_LENGTH)) else min(int(text), MAX_PAGE_LENGTH)
