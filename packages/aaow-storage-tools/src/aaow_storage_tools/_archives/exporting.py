"""`export_store`: writes a store to an archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from aaow_storage import FieldName, QueryFilter, StorageAdapter, now
from aaow_storage_tools._archives.files import written
from aaow_storage_tools._archives.format import ArchiveWriter
from aaow_storage_tools._copying.batches import check_where_is_of_sessions
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._copying.walk import StoreWalk
from aaow_storage_tools._kinds import SESSION
from aaow_storage_tools._progress import Progress, ProgressCallback, ignore_progress


@attrs.frozen(kw_only=True)
class ExportResult:
    """What was exported.

    Attributes:
        file: the archive.
        records: how many records it has.
        counts: how many it has of each kind.
        sha256: the digest in its last line.
    """

    file: str
    records: int
    counts: Mapping[str, int]
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {"file": self.file, "records": self.records, "counts": dict(self.counts), "sha256": self.sha256}


async def export_store(
    source: StorageAdapter,
    file: Path,
    *,
    where: Mapping[FieldName, Any] | None = None,
    overwrite: bool = False,
    stream_events: bool = True,
    progress: ProgressCallback | None = None,
) -> ExportResult:
    """Write all records of a store, or those of chosen sessions, to an archive; the store is only read.

    The archive is a file of JSON Lines, compressed by Zstandard if its name ends with `.zst`. It gets its name when it
    is whole. Others may write to the store meanwhile: each session is then as it was when its turn came.

    Args:
        source: the store.
        file: the archive.
        where: export the sessions that meet this, as in `QueryFilter.where`, with the workflows, parents and budget
            pools that they refer to; None exports everything.
        overwrite: whether a file that is there is replaced.
        stream_events: whether to export stream events; a backend of contract 1.0 cannot list them.
        progress: is told how many sessions were exported.

    Raises:
        AlreadyThereError: the file is there already.
        UnsupportedByBackendError: the backend has stream events, and no list of all of them.
    """
    check_where_is_of_sessions("export_store", where)
    tell = progress or ignore_progress
    total = await source.count_sessions(QueryFilter(where or {}))
    archive = ArchiveWriter()
    with SeenIds.open() as seen, written(file, overwrites=overwrite) as out:
        instant = now().isoformat().replace("+00:00", "Z")
        out.write(archive.header(instant, "store" if where is None else "sessions"))
        async for batch in StoreWalk(source, seen, where, stream_events=stream_events).batches():
            for item in batch.items:
                out.write(archive.record(item))
            tell(Progress(what="sessions exported", done=archive.counts[SESSION.name], total=total, unit="sessions"))
        out.write(archive.end())
    return ExportResult(
        file=str(file), records=archive.records, counts=archive.counts, sha256=archive.digest.hexdigest()
    )
