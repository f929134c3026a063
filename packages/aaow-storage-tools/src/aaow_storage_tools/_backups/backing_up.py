"""`backup_store`: a backup of a store, and its manifest."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import frozen

from aaow_storage import ConflictError, NotOfferedError, StorageAdapter, now
from aaow_storage.authoring import BackupContent, StoreMaintenance
from aaow_storage_tools._backups.digests import BLOCK_BYTES, digest_file
from aaow_storage_tools._backups.exports import export_backup
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
        schema_version: the version of the schema in it, None for an export.
        rows: how many rows each table has, or an export of each kind.
        begun_at: when the backup began: it has everything that was acknowledged before.
        seconds: how long it took.
        reason: why it is an export rather than a backup of the backend; empty if it is not.
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
    reason: str = ""

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
            "reason": self.reason,
        }


OpenStore = Callable[[], AbstractAsyncContextManager[StorageAdapter]]
"""Opens a store for `async with`."""


async def backup_store(
    maintenance: StoreMaintenance | None,
    path: str | PathLike[str],
    *,
    backend: str,
    opening: OpenStore | None = None,
    place: str | None = None,
    progress: ProgressCallback | None = None,
) -> BackupReport:
    """Write a backup of a store into a new file, and a manifest beside it, while others may go on writing.

    The backup is a consistent store as of one instant, with everything that was acknowledged before the call. Its form
    is that of the backend: the backup of a SQLite store is a store itself. The manifest, `FILE.manifest.json`, has
    digests that tell every changed byte. If it is cancelled, or fails, neither file is left.

    A backend may make no backups, or lack a program for it. Then the backup is an export, if the store can be opened:
    that too has everything that was acknowledged before the call, but each session as of an instant of its own.

    Args:
        maintenance: that of the store, from `maintenance_of`; None if its backend offers none.
        path: the file, which must not be there.
        backend: the name of the backend, which can read the file.
        opening: opens the store, for an export; None makes none.
        place: what the store is called in the manifest, without a password; `maintenance` has a name for it too.
        progress: told how far it is.

    Raises:
        ConflictError: there is a file, or a manifest, already; nothing was written.
        NotOfferedError: the backend makes no backups, or lacks a program for it, and the store cannot be opened.
        StorageError: the backup failed.
    """
    progress = progress or ignore_progress
    file = Path(path)
    beside = manifest_path(file)
    if beside.exists():
        raise ConflictError(f"{beside} is there already, and was not changed: choose another name, or move it away")
    begun_at = now()
    content, reason = await _write(maintenance, file, backend, opening, progress)
    try:
        digest = await digest_file(file, BLOCK_BYTES, steps_of(progress, "computing digests"))
        ended_at = now()
        manifest = Manifest(
            backend=backend,
            format=content.format,
            store=place or (backend if maintenance is None else maintenance.place),
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
        reason=reason,
    )


async def _write(
    maintenance: StoreMaintenance | None,
    file: Path,
    backend: str,
    opening: OpenStore | None,
    progress: ProgressCallback,
) -> tuple[BackupContent, str]:
    """Write the backup; return what is in it, and why it is an export, if it is."""
    refusal = NotOfferedError("backup", f"the backend {backend!r}")
    if maintenance is not None:
        try:
            return await maintenance.backup(file, steps_of(progress, "backing up")), ""
        except NotOfferedError as error:
            refusal = error
    if opening is None:
        raise refusal
    async with opening() as storage:
        return await export_backup(storage, file, progress), str(refusal)
