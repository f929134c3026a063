"""Walks through all records of a kind, page by page, in memory that does not grow with the store."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import evolve

from aaow_storage import FieldName, OrderBy, QueryFilter, StorageOperations
from aaow_storage.authoring import dumps_unchecked
from aaow_storage_tools._kinds import SESSION, Kind

R = TypeVar("R")
ListPage = Callable[[QueryFilter], Awaitable[list[R]]]
"""Lists the records that match a filter."""

FIRST_PAGE_LENGTH = 20
MAX_PAGE_LENGTH = 500
MAX_PAGE_BYTES = 4 * 2**20
"""About how much JSON a page has; only a single record that is larger makes a page larger."""

_SAMPLES = 4


class PageLength:
    """How many records the next page has: more if they are small, fewer if they are large."""

    def __init__(self) -> None:
        self.value = FIRST_PAGE_LENGTH

    def learn_from(self, page: Sequence[Any]) -> None:
        """Look at a few records of the last page."""
        step = max(1, len(page) // _SAMPLES)
        largest = max((weight_of(record) for record in page[::step]), default=1)
        fitting = max(1, MAX_PAGE_BYTES // largest)
        self.value = min(fitting, 4 * self.value, MAX_PAGE_LENGTH)


def weight_of(record: Any) -> int:
    """Return how many characters the JSON of a record has."""
    return len(dumps_unchecked(record.to_dict()))


async def pages_of(list_page: ListPage[R], filter: QueryFilter | None = None) -> AsyncIterator[list[R]]:
    """Yield the records that match a filter in pages, none of them empty; `limit` and `offset` of it do not count.

    A record that is stored from the first page to the last is yielded once, whatever is written meanwhile.
    """
    length = PageLength()
    page = evolve(filter or QueryFilter(), offset=0)
    while records := await list_page(evolve(page, limit=length.value)):
        yield records
        length.learn_from(records)
        page = page.after(records[-1])


def order_of(kind: Kind[Any]) -> tuple[OrderBy, ...]:
    """Return the order of a walk through all records of a kind."""
    return tuple(OrderBy(field) for field in kind.order)


async def pages_of_kind(
    storage: StorageOperations,
    kind: Kind[R],
    where: Mapping[FieldName, Any] | None = None,
    *,
    order_by: tuple[OrderBy, ...] | None = None,
    documents: bool = True,
    after: object = None,
) -> AsyncIterator[list[R]]:
    """Yield the records of a kind in pages, in an order that has an index, unless `order_by` names another.

    If the backend has no list over all sessions of its own, they come session by session, in no certain order.

    Args:
        storage: an adapter or a transaction.
        kind: the kind.
        where: what they have to meet, as in `QueryFilter.where`.
        order_by: the order.
        documents: whether to read what `QueryFilter(documents=False)` leaves out.
        after: the last record of an earlier walk in the same order, or its cursor.
    """
    if kind.list_of_session is not None and order_by is None and not kind.lists_whole_store(storage):
        async for sessions in pages_of_kind(storage, SESSION, documents=False):
            for session in sessions:
                async for page in pages_of_session(storage, kind, session.id, where):
                    yield page
        return
    whole = QueryFilter(where or {}, order_by or order_of(kind), documents=documents)
    first = whole if after is None else whole.after(after)
    async for page in pages_of(lambda query: kind.list_page(storage, query), first):
        yield page


async def pages_of_session(
    storage: StorageOperations, kind: Kind[R], session_id: str, where: Mapping[FieldName, Any] | None = None
) -> AsyncIterator[list[R]]:
    """Yield the records of a session that are of one kind in pages, by time, then id; events by stream and sequence."""
    list_of_session = kind.list_of_session
    if list_of_session is None:
        async for page in pages_of_kind(storage, kind, {**(where or {}), "session_id": session_id}):
            yield page
        return
    async for page in pages_of(lambda query: list_of_session(storage, session_id, query), QueryFilter(where or {})):
        yield page


async def records_of_kind(
    storage: StorageOperations, kind: Kind[R], where: Mapping[FieldName, Any] | None = None, **options: Any
) -> AsyncIterator[R]:
    """Yield the records of a kind one by one; the arguments are those of `pages_of_kind`."""
    async for page in pages_of_kind(storage, kind, where, **options):
        for record in page:
            yield record


async def records_of_session(
    storage: StorageOperations, kind: Kind[R], session_id: str, where: Mapping[FieldName, Any] | None = None
) -> AsyncIterator[R]:
    """Yield the records of a session one by one; the arguments are those of `pages_of_session`."""
    async for page in pages_of_session(storage, kind, session_id, where):
        for record in page:
            yield record
