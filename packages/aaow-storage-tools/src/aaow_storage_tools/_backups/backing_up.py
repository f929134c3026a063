"""`backup_store`: a backup of a store, and its manifest."""

from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import frozen

from aaow_storage import ConflictError, now
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_tools._backups.digests import BLOCK_BYTES, digest_file
from aaow_storage_tools._backups.manifest import Manifest, manifest_path, remove_backup, write_manifest
from aaow_storage_tools._backups.steps import steps_of
from aaow_storage_tools._progress import ProgressCallback, ignore_progress


@frozen(kw_only=True)
class BackupReport:
    """A backup that was made.

    Attributes:
        file: the backup.
        manifest: the file with its digests.
        format: its form.
        size: how many bytes it has.
        sha256: its digest, as `sha256sum` prints it.
        schema_version: the version of the schema in it.
        rows: how many rows each table has.
        begun_at: when the backup began: it has everything that was acknowledged before.
        seconds: how long it took.
    """

    file: Path
    manifest: Path
    format: str
    size: int
    sha256: str
    schema_version: str | None
    rows: Mapping[str, int]
    begun_at: datetime
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "file": str(self.file),
            "manifest": str(self.manifest),
            "format": self.format,
            "size": self.size,
            "sha256": self.sha256,
            "schema_version": self.schema_version,
            "rows": dict(self.rows),
            "begun_at": self.begun_at,
            "seconds": self.seconds,
        }


async def backup_store(
    maintenance: StoreMaintenance,
    path: str | PathLike[str],
    *,
    backend: str,
    progress: ProgressCallback | None = None,
) -> BackupReport:
    """Write a backup of a store into a new file, and a manifest beside it, while others may go on writing.

    The backup is a consistent store as of one instant, with everything that was acknowledged before the call. Its form
    is that of the backend: the backup of a SQLite store is a store itself. The manifest, `FILE.manifest.json`, has
    digests that tell every changed byte. If it is cancelled, or fails, neither file is left.

    Args:
        maintenance: that of the store, from `maintenance_of`.
        path: the file, which must not be there.
        backend: the name of the backend, which can read the file.
        progress: told how far it is.

    Raises:
        ConflictError: there is a file, or a manifest, already; nothing was written.
        NotOfferedError: the backend makes no backups, or lacks a program for it.
        StorageError: the backup failed.
    """
    progress = progress or ignore_progress
    file = Path(path)
    beside = manifest_path(file)
    if beside.exists():
        raise ConflictError(f"{beside} is there already, and was not changed: choose another name, or move it away")
    begun_at = now()
    content = await maintenance.backup(file, steps_of(progress, "backing up"))
    try:
        digest = await digest_file(file, BLOCK_BYTES, steps_of(progress, "computing digests"))
        ended_at = now()
        manifest = Manifest(
            backend=backend,
            format=content.format,
            store=maintenance.place,
            schema_version=content.schema_version,
            rows=content.rows,
            begun_at=begun_at,
            ended_at=ended_at,
            digest=digest,
        )
        write_manifest(file, manifest)
    except BaseException:
        remove_backup(file)
        raise
    return BackupReport(
        file=file,
        manifest=beside,
        format=content.format,
        size=digest.size,
        sha256=digest.sha256,
        schema_version=content.schema_version,
        rows=content.rows,
        begun_at=begun_at,
        seconds=(ended_at - begun_at).total_seconds(),
    )
