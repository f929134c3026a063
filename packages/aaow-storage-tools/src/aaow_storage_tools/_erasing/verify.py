"""`verify_receipt`: looks for what a receipt says is erased."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from aaow_storage import FieldName, In, Lt, QueryFilter, StorageAdapter
from aaow_storage_tools._belongings import kinds_of_session, lists_events
from aaow_storage_tools._erasing.receipts import Receipt
from aaow_storage_tools._kinds import KIND_OF, SESSION, STREAM_EVENT, Kind
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

IDS = 500
"""How many ids one query looks for."""


@frozen(kw_only=True)
class Leftover:
    """A record that is there although a receipt says it is erased."""

    kind: str
    id: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"kind": self.kind, "id": self.id, "message": self.message}


async def verify_receipt(
    storage: StorageAdapter,
    receipt: Receipt,
    *,
    where: Mapping[FieldName, Any] | None = None,
    progress: ProgressCallback | None = None,
) -> list[Leftover]:
    """Look for everything that the receipt names, and for what belongs to its sessions; return what is found.

    The store may be any that should not have it: the store itself, a copy, or a backup that was restored.

    Args:
        storage: the store, open.
        receipt: the receipt; `read_receipt` has checked its digest.
        where: the condition of the request; then sessions are looked for that meet it, and were not changed since the
            erasure ended. It must not depend on the time, as "older than a week" does.
        progress: told how many ids were looked for.
    """
    tell = progress or ignore_progress
    total = sum(receipt.counts.values())
    done = 0
    found: list[Leftover] = []
    for name, ids in receipt.ids.items():
        if name == STREAM_EVENT.name and not lists_events(storage):
            continue
        kind = KIND_OF[name]
        for start in range(0, len(ids), IDS):
            some = ids[start : start + IDS]
            found += await _stored(storage, kind, some)
            if kind is SESSION:
                found += await _belonging(storage, some)
            done += len(some)
            tell(Progress(what="looking for erased records", done=done, total=total))
    if where is not None and receipt.erased_at is not None:
        unchanged = {**where, ("updated_at",): Lt(receipt.erased_at)}
        found += await _matching(storage, unchanged, receipt)
    return found


async def _stored(storage: StorageAdapter, kind: Kind[Any], ids: tuple[str, ...]) -> list[Leftover]:
    """Return those of the records that are there."""
    chosen = QueryFilter({kind.id_field: In(ids)}, documents=False)
    if kind.list_of_session is None or kind.lists_whole_store(storage):
        records = await kind.list_page(storage, chosen)
    else:
        records = [record for each in ids if (record := await kind.get(storage, each)) is not None]
    return [_leftover(kind, kind.id_of(record)) for record in records]


async def _belonging(storage: StorageAdapter, session_ids: tuple[str, ...]) -> list[Leftover]:
    """Return records that belong to those sessions, or name them as their parent."""
    found = []
    for kind in kinds_of_session(storage):
        for session_id in session_ids:
            if kind.list_of_session is not None:
                records = await kind.list_of_session(storage, session_id, QueryFilter(limit=1, documents=False))
            else:
                records = await kind.list_page(storage, QueryFilter({"session_id": session_id}, limit=1))
            message = f"it belongs to the session {session_id!r}"
            found += [_leftover(kind, kind.id_of(each), message) for each in records]
    children = QueryFilter({"parent_session_id": In(session_ids)}, documents=False)
    for child in await storage.list_sessions(children):
        message = f"its parent is the session {child.parent_session_id!r}, which is erased"
        found.append(Leftover(kind=SESSION.name, id=child.id, message=message))
    return found


async def _matching(storage: StorageAdapter, where: Mapping[FieldName, Any], receipt: Receipt) -> list[Leftover]:
    """Return sessions that meet the condition of the request, and are older than its end."""
    known = set(receipt.ids.get(SESSION.name, ()))
    sessions = await storage.list_sessions(QueryFilter(where, limit=IDS, documents=False))
    message = f"it meets the request, {' '.join(receipt.request)}, and was there before the erasure ended"
    return [Leftover(kind=SESSION.name, id=each.id, message=message) for each in sessions if each.id not in known]


def _leftover(kind: Kind[Any], id: str, message: str = "it is there, although it is erased") -> Leftover:
    return Leftover(kind=kind.name, id=id, message=message)
