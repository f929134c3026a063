"""Finds one record by its id, or by the beginning of it."""

from typing import Any

from aaow_storage import NotFoundError, QueryFilter, StartsWith, StorageOperations
from aaow_storage_tools._errors import ToolError
from aaow_storage_tools._kinds import KIND_OF
from aaow_storage_tools._looking.listing import Listing

MAX_SHOWN = 5


class AmbiguousIdError(ToolError, LookupError):
    """Several records have an id that begins so.

    Attributes:
        kind: the kind of the records.
        beginning: what was asked for.
        ids: some of the ids.
    """

    exit_code = 2

    def __init__(self, kind: str, beginning: str, ids: list[str]) -> None:
        super().__init__(kind, beginning, ids)
        self.kind = kind
        self.beginning = beginning
        self.ids = ids

    def __str__(self) -> str:
        ids = ", ".join(self.ids)
        return f"the id of several records of the kind {self.kind} begins with {self.beginning!r}, such as {ids}"


async def find_record(storage: StorageOperations, listing: Listing, id: str) -> Any:
    """Return the record with an id, or the only one whose id begins so.

    A node state is asked for by `SESSION/NODE`.

    Raises:
        NotFoundError: there is none.
        AmbiguousIdError: there are several.
    """
    if listing.name == "node_state":
        session_id, _, node_id = id.rpartition("/")
        found = await listing.list_page(storage, QueryFilter({"session_id": session_id, "node_id": node_id}))
    elif listing.name in KIND_OF and (record := await KIND_OF[listing.name].get(storage, id)) is not None:
        return record
    else:
        beginning = QueryFilter({listing.id_field: StartsWith(id)}, limit=MAX_SHOWN + 1)
        found = await listing.list_page(storage, beginning)
        found = [record for record in found if getattr(record, listing.id_field) == id] or found
    if not found or not id:
        raise NotFoundError(listing.name, id)
    if len(found) > 1:
        raise AmbiguousIdError(listing.name, id, [getattr(record, listing.id_field) for record in found[:MAX_SHOWN]])
    return found[0]
