"""Lists in pages: the filter, the order and the place in the URL, one page at a time, never a count unless asked."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from attrs import frozen

from aaow_storage import FieldName, OrderBy, QueryFilter
from aaow_storage.authoring import DEFAULT_ORDER
from aaow_storage_studio._web.time_limits import within
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import QueryError, parse_order, parse_query

R = TypeVar("R")

_CONDITION = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+')
PAGE_LENGTH = 50
MAX_PAGE_LENGTH = 500
PATIENCE_S = 10.0
"""How long a page is looked for, or what matches is counted: a filter or an order that no index helps reads everything.
"""
SLOW_S = 1.0
"""A page that takes longer is not read again by itself whenever the store changes."""


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
        where: the conditions of the list, for a count; None if there is a problem.
        is_slow: whether it took so long that it should not be read again by itself.
    """

    records: Sequence[R]
    query: str
    order: str
    problem: str | None
    next_after: str | None
    is_first: bool
    where: Mapping[FieldName, Any] | None = None
    is_slow: bool = False

    @property
    def is_live(self) -> bool:
        """Whether the page is read again by itself when the store changes: it is the first one, and quick."""
        return self.is_first and not self.is_slow

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
    began = time.monotonic()
    try:
        wanted_order = given_order or order
        keys = parse_order(record, wanted_order) if wanted_order else _newest_first(record)
        wanted = parse_query(record, [*conditions_of(query), *conditions])
        all_wanted = {**wanted, **(where or {})}
        page = QueryFilter(all_wanted, keys, length + 1, documents=False)
        found = await within(PATIENCE_S, list_page(page.after(after) if after else page))
    except QueryError as error:
        return Listed((), query, given_order, str(error), None, not after)
    is_slow = time.monotonic() - began > SLOW_S
    if found is None:
        return Listed((), query, given_order, _took_too_long(record), None, not after, is_slow=True)
    records = found[:length]
    next_after = page.cursor(records[-1]) if len(found) > length else None
    return Listed(records, query, given_order, None, next_after, not after, all_wanted, is_slow)


async def count_if_asked(
    visit: Visit, listed: Listed[Any], count: Callable[[QueryFilter], Awaitable[int]]
) -> int | None:
    """Return how many match the filter of a list if the URL asks by `count=yes`; None if that takes too long."""
    if not visit.text("count") or listed.where is None:
        return None
    return await within(PATIENCE_S, count(QueryFilter(listed.where)))


def conditions_of(query: str) -> list[str]:
    """Return the conditions of a filter as it is written, apart by spaces; quotes keep spaces together.

    Raises:
        QueryError: a quote is open.
    """
    if _CONDITION.sub("", query).strip():
        raise QueryError(query, 'has a quote that is not closed; write "..." around a value, and \\" inside')
    return _CONDITION.findall(query)


def _took_too_long(record: type) -> str:
    return (
        f"was given up after {PATIENCE_S:g} s, because no index helps; "
        f"add a condition such as {DEFAULT_ORDER[record]}>-1d, or leave out the order"
    )


def _newest_first(record: type) -> tuple[OrderBy, ...]:
    return (OrderBy(DEFAULT_ORDER[record], "desc"),)


def page_length(visit: Visit) -> int:
    """Return how many records a page has: the `limit` of the URL if it is a number, but not more than is allowed."""
    text = visit.text("limit")
    if not text.isdecimal() or not text.strip("0"):
        return PAGE_LENGTH
    return MAX_PAGE_LENGTH if len(text) > len(str(MAX_PAGE_LENGTH)) else min(int(text), MAX_PAGE_LENGTH)
