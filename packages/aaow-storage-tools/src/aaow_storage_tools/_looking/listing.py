"""The kinds of records that can be listed, and their pages."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from attrs import frozen

from aaow_storage import NodeState, OrderBy, QueryFilter, StorageOperations, StreamSummary
from aaow_storage.authoring import DEFAULT_ORDER
from aaow_storage_tools._errors import ToolError
from aaow_storage_tools._kinds import KINDS
from aaow_storage_tools._looking.query_language import parse_order, parse_query

DEFAULT_LIMIT = 50


class UnknownKindError(ToolError, LookupError):
    """There is no such kind of records.

    Attributes:
        kind: what was asked for.
    """

    exit_code = 2

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return f"there is no kind {self.kind!r}; the kinds are {', '.join(LISTINGS)}"


@frozen(kw_only=True)
class Listing:
    """A kind of records, or of what is derived from them, that a store lists.

    Attributes:
        name: what errors and the change feed call it, such as `"session"`.
        record: the class.
        id_field: the field that tells its records apart.
        list_page: lists those of the store that match a filter.
    """

    name: str
    record: type
    id_field: str
    list_page: Callable[[StorageOperations, QueryFilter | None], Awaitable[list[Any]]]

    def filter(
        self,
        conditions: Iterable[str] = (),
        *,
        order: str | None = None,
        limit: int | None = DEFAULT_LIMIT,
        after: str | None = None,
        documents: bool = False,
    ) -> QueryFilter:
        """Return the filter for a page of the list.

        Args:
            conditions: a query, as `parse_query` takes it.
            order: an order, as `parse_order` takes it; the newest come first if it is None.
            limit: how many records the page has.
            after: the cursor after which it begins, as the result of the page before names it.
            documents: whether the records have their documents; without, `OMITTED` stands in their place.

        Raises:
            QueryError: a condition or the order cannot be understood.
        """
        keys = parse_order(self.record, order) if order else (OrderBy(DEFAULT_ORDER[self.record], "desc"),)
        page = QueryFilter(parse_query(self.record, conditions), keys, limit, documents=documents)
        return page if after is None else page.after(after)


LISTINGS = {
    listing.name: listing
    for listing in (
        *(
            Listing(name=kind.name, record=kind.record, id_field=kind.id_field, list_page=kind.list_page)
            for kind in KINDS
        ),
        Listing(
            name="node_state",
            record=NodeState,
            id_field="node_id",
            list_page=lambda storage, page: storage.list_node_states(page),
        ),
        Listing(
            name="stream",
            record=StreamSummary,
            id_field="stream_id",
            list_page=lambda storage, page: storage.list_streams(page),
        ),
    )
}
"""What can be listed, by name."""

_SHORT = {
    "approval": "approval_request",
    "budget": "budget_pool",
    "call": "llm_execution",
    "event": "stream_event",
    "execution": "llm_execution",
    "llm": "llm_execution",
    "node": "node_state",
    "pool": "budget_pool",
    "state": "execution_state",
    "tool": "tool_call",
}


def listing_of(kind: str) -> Listing:
    """Return what is listed by a name: singular or plural, `approval`, `budget`, `llm`, `tool`, `node` or `event` too.

    Raises:
        UnknownKindError: there is no such kind.
    """
    name = kind.lower().replace("-", "_")
    for candidate in (name, name.removesuffix("s")):
        found = _SHORT.get(candidate, candidate)
        if found in LISTINGS:
            return LISTINGS[found]
    raise UnknownKindError(kind)
