"""`erase`: deletes everything of the sessions that meet a condition, and returns a receipt."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from aaow_storage import (
    Capability,
    FieldName,
    NotFoundError,
    QueryFilter,
    StorageAdapter,
    Transaction,
    ValidationError,
    now,
)
from aaow_storage.authoring import StoreMaintenance
from aaow_storage.errors import NotOfferedError, StorageError
from aaow_storage_tools._belongings import ids_of_session, kinds_of_session
from aaow_storage_tools._erasing.journal import ReceiptJournal
from aaow_storage_tools._erasing.receipts import Receipt, write_receipt
from aaow_storage_tools._errors import ResumableError
from aaow_storage_tools._pages import pages_of
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress
from aaow_storage_tools._trees import Tree, trees_of

TIMEOUT_S = 600.0
"""How long the transaction that erases one session may take."""

FEED = "the change feed names the ids until its changes are pruned"
STREAMS = "the names of the streams stay, so that no sequence is given twice"
FILES = (
    "the space of the records was not given back, so that the files of the store, and copies of them, may still show "
    "parts of the records"
)


async def erase(
    storage: StorageAdapter,
    where: Mapping[FieldName, Any],
    *,
    request: Sequence[str] = (),
    receipt_file: Path | None = None,
    maintenance: StoreMaintenance | None = None,
    forget_changes: bool = False,
    dry_run: bool = False,
    progress: ProgressCallback | None = None,
) -> Receipt:
    """Delete the sessions that meet a condition, with their descendants and all that belongs to them.

    Holds and open requests do not stop it. Each session goes in one transaction, which also reads the ids for the
    receipt. If the job ends before it is done, the same call goes on, and with `receipt_file` nothing is missing in the
    receipt. At the end, the space is given back, because a database leaves deleted values in its files until then;
    writers may wait for that.

    Args:
        storage: the store, open.
        where: what the sessions have to meet, as in `QueryFilter.where`.
        request: what the receipt calls the conditions; by default, what `where` has.
        receipt_file: where the receipt is written when all is done. Until then, a file beside it, whose name ends in
            `.begun`, has what is erased so far.
        maintenance: what `maintenance_of` returns for the same store; without it, the space is not given back, and the
            receipt says so.
        forget_changes: whether the change feed is pruned at the end, up to the last change, because it names the ids
            of deleted sessions. Whoever follows it, a copy that is kept up to date for instance, has to start over.
        dry_run: whether to return what would be erased, and erase nothing.
        progress: told how many sessions have gone.

    Raises:
        ValidationError: the condition is empty, or no condition of sessions.
        ConflictError: the file is there already, or an erasure of another request was begun for it.
        ResumableError: the store could not be reached any more, or was busy for too long; sessions have gone by then.
    """
    if not where:
        raise ValidationError("erase", "where", "is empty, and would erase everything; name what the sessions have")
    request = request or [f"{_shown(name)}={value!r}" for name, value in where.items()]
    chosen = QueryFilter(where, documents=False)
    with ReceiptJournal(None if dry_run else receipt_file, request) as journal:
        job = _Erasure(storage, journal, progress or ignore_progress)
        if dry_run:
            async for page in pages_of(storage.list_sessions, chosen):
                await job.look_at(await trees_of(storage, page))
            return Receipt(request=request, begun_at=journal.begun_at, ids=journal.ids)
        try:
            while await storage.count_sessions(chosen):
                async for page in pages_of(storage.list_sessions, chosen):
                    for tree in await trees_of(storage, page):
                        await job.erase_tree(tree)
        except StorageError as error:
            if not error.is_retryable or not journal.sessions:
                raise
            raise ResumableError("erase", journal.sessions, str(error)) from error
        notes = await _clean_up(storage, maintenance, journal, forget_changes=forget_changes)
        receipt = Receipt(request=request, begun_at=journal.begun_at, erased_at=now(), ids=journal.ids, notes=notes)
        if receipt_file is not None:
            write_receipt(receipt_file, receipt)
            journal.remove()
    return receipt


class _Erasure:
    """A job under way."""

    def __init__(self, storage: StorageAdapter, journal: ReceiptJournal, progress: ProgressCallback) -> None:
        self._storage = storage
        self._journal = journal
        self._progress = progress
        self._kinds = kinds_of_session(storage)

    async def look_at(self, trees: list[Tree]) -> None:
        """Note what would be erased."""
        for tree in trees:
            for session in tree.sessions:
                self._journal.add(await ids_of_session(self._storage, session.id, self._kinds))

    async def erase_tree(self, tree: Tree) -> None:
        """Erase the sessions of a tree, the deepest first."""
        for session in tree.sessions:
            await self._storage.transact(functools.partial(self._erase, id=session.id), timeout=TIMEOUT_S)
            self._progress(Progress(what="erasing sessions", done=self._journal.sessions, unit="sessions"))

    async def _erase(self, transaction: Transaction, *, id: str) -> None:
        """Erase a session; its ids are on the disk before it has gone."""
        ids = await ids_of_session(transaction, id, self._kinds)
        self._journal.add(ids)
        with suppress(NotFoundError):  # somebody else deleted it
            await transaction.delete_session(id)


async def _clean_up(
    storage: StorageAdapter, maintenance: StoreMaintenance | None, journal: ReceiptJournal, *, forget_changes: bool
) -> tuple[str, ...]:
    """Remove what is left of erased records where no operation shows it; return what stays."""
    notes = []
    has_feed = Capability.CHANGES in storage.capabilities
    if has_feed and forget_changes and (last := await storage.last_change()) is not None:
        await storage.prune_changes(max(last.at, now()) + timedelta(seconds=1))
        has_feed = False
    if has_feed:
        notes.append(FEED)
    if "stream_event" in journal.ids:
        notes.append(STREAMS)
    try:
        if maintenance is None:
            notes.append(FILES)
        else:
            await maintenance.delete_unused_documents()
            await maintenance.reclaim_space()
    except NotOfferedError:
        notes.append(FILES)
    return tuple(notes)


def _shown(name: FieldName) -> str:
    return name if isinstance(name, str) else ".".join(name)
