"""`Existing`: tells which ids of a kind are stored, and remembers the last ones."""

from collections.abc import Iterable
from typing import Any

from aaow_storage import CorruptDataError, In, QueryFilter
from aaow_storage_tools._pages import ListPage

MAX_KNOWN = 50_000
"""How many ids are remembered."""


class Existing:
    """Tells which ids of a kind are stored."""

    def __init__(self, list_page: ListPage[Any]) -> None:
        self._list_page = list_page
        self._known: dict[str, None] = {}

    async def missing(self, ids: Iterable[str | None]) -> set[str]:
        """Return those of the ids that are not stored; None is no id."""
        asked = {each for each in ids if each is not None and each not in self._known}
        found = await self._find(asked) if asked else set()
        self._known.update(dict.fromkeys(found))
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return asked - found

    async def _find(self, ids: set[str]) -> set[str]:
        try:
            return {each.id for each in await self._list_page(_of(sorted(ids)))}
        except CorruptDataError:
            return {each for each in ids if await self._is_stored(each)}

    async def _is_stored(self, id: str) -> bool:
        try:
            return bool(await self._list_page(_of([id])))
        except CorruptDataError:
            return True  # it is there, and cannot be read


def _of(ids: list[str]) -> QueryFilter:
    return QueryFilter({"id": In(ids)}, documents=False)
