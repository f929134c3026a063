"""`import_store`: stores the records of an archive."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import attrs

from aaow_storage import Capability, ConflictError, StorageAdapter, StorageError, Transaction, UnsupportedOperationError
from aaow_storage_tools._archives.format import item_of, key_of, line_of
from aaow_storage_tools._archives.validating import LeftOut, Stored, Validation
from aaow_storage_tools._copying.batches import Item, Place
from aaow_storage_tools._copying.differences import Comparison, Findings, Mismatch, differing_fields, is_same
from aaow_storage_tools._copying.journal import Journal
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._copying.stored_records import Key, check_is_empty, is_empty, stored_by_id, stored_like
from aaow_storage_tools._copying.writing import StoreWriter
from aaow_storage_tools._errors import ResumableError, UnsupportedByBackendError
from aaow_storage_tools._kinds import KIND_OF, STREAM_EVENT, Kind, Reference
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress

T = TypeVar("T")

OpenTarget = Callable[[], AbstractAsyncContextManager[StorageAdapter]]
"""Opens the target for `async with`."""
RECORDS_IN_ONE_TRANSACTION = 200_000
"""An archive of no more records is imported in one transaction."""
_RECORDS_AT_ONCE = 2000


@attrs.frozen(kw_only=True)
class ImportResult:
    """What was imported.

    Attributes:
        stored: how many records were stored by this call.
        counts: how many records of each kind the archive has, without those left out.
        left_out: the first 1,000 lines that were left out.
        left_out_found: how many lines were left out.
        was_resumed: whether an earlier call had begun.
        comparison: what differs between the archive and the store at the end; None if it was not looked for.
    """

    stored: int
    counts: Mapping[str, int]
    left_out: tuple[LeftOut, ...]
    left_out_found: int
    was_resumed: bool
    comparison: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "stored": self.stored,
            "counts": dict(self.counts),
            "left_out": [line.to_dict() for line in self.left_out],
            "left_out_found": self.left_out_found,
            "was_resumed": self.was_resumed,
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
        }


async def import_store(
    file: Path,
    target: StorageAdapter,
    *,
    journal: Path | None = None,
    target_name: str = "the target",
    merge: bool = False,
    keep_going: bool = False,
    verify: bool = True,
    progress: ProgressCallback | None = None,
) -> ImportResult:
    """Store the records of an archive, which is checked line by line before anything is written.

    Every record keeps every field, as in `copy_store`. An archive of at most 200,000 records is stored in one
    transaction. A larger one is stored in parts; if that is interrupted, the same call with the same journal goes on.

    Args:
        file: the archive; it is read several times.
        target: the store, which is open.
        journal: the file of the journal, beside the target, for a large archive.
        target_name: names the target in the journal and in errors, without a password.
        merge: whether the target may have records already; those that differ from the archive's are replaced.
        keep_going: whether lines that are wrong are left out, with those that refer to them.
        verify: whether to compare the archive with the store at the end, record by record.
        progress: is told how many records were stored.

    Raises:
        InvalidArchiveError: a line is wrong, or the archive is not whole; nothing was stored.
        NotEmptyError: the target has records.
        ResumableError: storing failed in the middle of a large archive.
        ConflictError: with `merge`, a stored record differs that no operation can change.
        UnsupportedByBackendError: the archive has stream events, and the target cannot store them.
    """
    return await import_archive(
        file,
        lambda: nullcontext(target),
        journal=journal,
        target_name=target_name,
        merge=merge,
        keep_going=keep_going,
        verify=verify,
        progress=progress,
    )


async def import_archive(
    file: Path,
    open_target: OpenTarget,
    *,
    journal: Path | None,
    target_name: str,
    merge: bool,
    keep_going: bool,
    verify: bool,
    progress: ProgressCallback | None,
) -> ImportResult:
    """Do what `import_store` does, with a target that is opened, and perhaps made, when the archive was checked."""
    tell = progress or ignore_progress
    async with AsyncExitStack() as stack:
        seen = stack.enter_context(SeenIds.open())
        validation = Validation(file, seen)
        target = await stack.enter_async_context(open_target()) if merge else None
        await validation.run(None if target is None else _asking(target), tell)
        if validation.found and not keep_going:
            raise validation.error()
        if target is None:
            target = await stack.enter_async_context(open_target())
        if validation.counts[STREAM_EVENT.name] and Capability.STREAM_EVENTS not in target.capabilities:
            raise UnsupportedByBackendError(target_name, "stream events", "choose another backend for the target")
        with Journal.open(journal, "import", archive=validation.digest, target=target_name) as opened:
            importing = _Importing(validation, target, opened, tell, merge=merge)
            stored, was_resumed = await importing.run(target_name)
        comparison = await _compare(validation, target, tell) if verify else None
    return ImportResult(
        stored=stored,
        counts=validation.counts,
        left_out=tuple(validation.problems),
        left_out_found=validation.found,
        was_resumed=was_resumed,
        comparison=comparison,
    )


async def check_archive(
    file: Path, target: StorageAdapter, *, keep_going: bool, progress: ProgressCallback | None
) -> dict[str, int]:
    """Check every line of an archive that is to be merged into a store; return how many records of each kind it has.

    Raises:
        InvalidArchiveError: a line is wrong, or the archive is not whole.
    """
    with SeenIds.open() as seen:
        validation = Validation(file, seen)
        await validation.run(_asking(target), progress or ignore_progress)
        if validation.found and not keep_going:
            raise validation.error()
        return validation.counts


def _asking(target: StorageAdapter) -> Stored:
    async def is_stored(reference: Reference) -> bool:
        return await KIND_OF[reference.kind].get(target, reference.id) is not None

    return is_stored


class _Importing:
    def __init__(
        self, validation: Validation, target: StorageAdapter, journal: Journal, tell: ProgressCallback, *, merge: bool
    ) -> None:
        self._validation = validation
        self._target = target
        self._journal = journal
        self._tell = tell
        self._merge = merge
        self._stored = 0

    async def run(self, target_name: str) -> tuple[int, bool]:
        journal = self._journal
        if journal.has_begun and await is_empty(self._target):
            journal.forget()  # the target was made anew since
        was_resumed = journal.has_begun
        if not was_resumed and not self._merge:
            remedy = "import into an empty store, or merge (--merge), which replaces the records that differ"
            await check_is_empty(self._target, target_name, remedy)
        writer = StoreWriter(
            self._target,
            is_empty=not self._merge,
            replaces=True,
            replace=_refuse,
        )
        if self._validation.records <= RECORDS_IN_ONE_TRANSACTION and not was_resumed:
            journal.has_begun = True
            journal.save()
            self._stored = await writer.run(lambda transaction: self._store_all(writer, transaction))
        else:
            await self._store_in_parts(writer)
        journal.remove()
        return self._stored, was_resumed

    async def _store_all(self, writer: StoreWriter, transaction: Transaction) -> int:
        stored = 0
        for part in _parts(self._validation.valid_items()):
            stored += await writer.write_in(transaction, [item for _, item in part])
            self._tell(Progress(what="records imported", done=stored, total=self._validation.records))
        return stored

    async def _store_in_parts(self, writer: StoreWriter) -> None:
        """Store the records, and note the line after each part."""
        journal = self._journal
        line = 0 if journal.place is None else int(journal.place.cursor or 0)
        done = 0 if line == 0 else journal.records
        journal.has_begun = True
        journal.save()
        try:
            for part in _parts(self._validation.valid_items(line)):
                self._stored += await writer.write([item for _, item in part])
                done += len(part)
                last, item = part[-1]
                journal.place, journal.records = Place(item.kind.name, str(last)), done
                journal.save()
                self._tell(Progress(what="records imported", done=done, total=self._validation.records))
        except (ConflictError, UnsupportedOperationError, ValueError):
            raise
        except StorageError as error:
            raise ResumableError("import", done, str(error)) from error


def _parts(items: Iterator[T]) -> Iterator[list[T]]:
    while part := list(islice(items, _RECORDS_AT_ONCE)):
        yield part


async def _refuse(transaction: Transaction, items: Any) -> None:
    del transaction
    first = items[0]
    reason = f"the {first.kind.name} {first.id!r} is stored with other values, and no operation can change it"
    raise ConflictError(f"{reason}: nothing more was imported; import into an empty store, or delete it first")


async def _compare(validation: Validation, target: StorageAdapter, tell: ProgressCallback) -> Comparison:
    """Compare every record of an archive with the store; a sequence that the archive does not give does not count."""
    findings = Findings()
    done = 0
    for part in _parts(line for _, line in validation.valid_lines()):
        lines = {key: line for line in part if (key := key_of(line)) is not None}
        stored = await _stored(target, lines)
        for key, line in lines.items():
            kind, id_ = key
            findings.compared[kind] += 1
            if key not in stored:
                findings.add(kind, id_, Mismatch.MISSING)
            elif fields := _differing(line, KIND_OF[kind], stored[key]):
                findings.add(kind, id_, Mismatch.DIFFERS, fields)
        done += len(lines)
        tell(Progress(what="records compared", done=done, total=validation.records))
    return findings.comparison()


async def _stored(target: StorageAdapter, lines: Mapping[Key, bytes]) -> dict[Key, Any]:
    """Return the stored records that have the kinds and ids of the lines."""
    by_kind: dict[str, list[Key]] = {}
    for key in lines:
        by_kind.setdefault(key[0], []).append(key)
    found: dict[Key, Any] = {}
    for name, keys in by_kind.items():
        if KIND_OF[name].lists_whole_store(target):
            found |= await stored_by_id(target, KIND_OF[name], [id_ for _, id_ in keys])
        else:
            found |= await stored_like(target, [item_of(lines[key]) for key in keys])
    return found


def _differing(line: bytes, kind: Kind[Any], stored: Any) -> tuple[str, ...]:
    """Return the fields in which a stored record differs from a line; most lines are written as `export` does."""
    if line == line_of(Item(kind, stored)):
        return ()
    record = item_of(line).record
    fields = () if is_same(record, stored) else differing_fields(record, stored)
    return tuple(name for name in fields if name not in _BY_STORE or getattr(record, name) is not None)


_BY_STORE = {"sequence", "session_id", "node_id"}
"""What the store sets if the record does not say it."""
