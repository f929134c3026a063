"""Reading all records of a list, those that follow an unreadable one included."""

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from attrs import evolve, frozen

from aaow_storage import CorruptDataError, QueryFilter
from aaow_storage_tools._pages import ListPage, PageLength

RecordT = TypeVar("RecordT")

MAX_UNREADABLE_IN_A_ROW = 10_000
"""After so many records in a row that cannot be read, the rest of the list is given up."""


@frozen
class Page(Generic[RecordT]):
    """Some records of a list, in order; or the error by which the next one could not be read."""

    records: list[RecordT]
    error: CorruptDataError | None = None
    after: RecordT | None = None
    """With an error: the last record before."""
    is_last: bool = False
    """Whether the list is given up here."""


async def read_pages(list_page: ListPage[RecordT], filter: QueryFilter) -> AsyncIterator[Page[RecordT]]:
    """Yield the records of a list page by page, and a page with an error for each one that cannot be read.

    A page that cannot be read is read again in smaller ones, down to the record that is to blame.
    """
    length = PageLength()
    start, skipped, size = filter, 0, length.value
    last: RecordT | None = None
    while True:
        try:
            records = await list_page(evolve(start, limit=size, offset=skipped))
        except CorruptDataError as error:
            if size > 1:
                size = 1 if skipped else max(1, size // 8)
                continue
            skipped += 1
            is_last = skipped >= MAX_UNREADABLE_IN_A_ROW
            yield Page([], error, last, is_last)
            if is_last:
                return
            continue
        if records:
            yield Page(records)
            last = records[-1]
            start, skipped = start.after(last), 0
        if len(records) < size:
            return
        length.learn_from(records)
        size = min(length.value, size * 4)
