"""`restore_store`: a backup put back as a store."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import frozen

from aaow_storage import NotOfferedError
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_tools._backups.backing_up import OpenStore
from aaow_storage_tools._backups.digests import check_is_file, digest_file
from aaow_storage_tools._backups.exports import FORMAT, restore_export
from aaow_storage_tools._backups.manifest import read_manifest
from aaow_storage_tools._backups.steps import steps_of
from aaow_storage_tools._backups.verifying import changed_bytes, told_by
from aaow_storage_tools._errors import InvalidBackupError, UnsupportedByBackendError
from aaow_storage_tools._progress import ProgressCallback, ignore_progress


@frozen(kw_only=True)
class RestoreReport:
    """A store that was restored.

    Attributes:
        file: the backup.
        store: the store, without a password.
        has_manifest: whether the bytes were compared with a manifest.
        schema_version: the version of its schema; an older one is upgraded when an application opens it.
        rows: how many rows each table has.
    """

    file: Path
    store: str
    has_manifest: bool
    schema_version: str | None
    rows: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "file": str(self.file),
            "store": self.store,
            "has_manifest": self.has_manifest,
            "schema_version": self.schema_version,
            "rows": dict(self.rows),
        }


async def restore_store(
    path: str | PathLike[str],
    maintenance: StoreMaintenance | None,
    *,
    backend: str,
    opening: OpenStore | None = None,
    place: str | None = None,
    replace: bool = False,
    progress: ProgressCallback | None = None,
) -> RestoreReport:
    """Put a backup in the place of a store: all of it, or nothing. Its bytes are compared with its manifest first.

    A backup that is an export goes into an empty store of any backend. A large one may be interrupted in the middle;
    the same call goes on.

    Args:
        path: the file.
        maintenance: that of the store to make, from `maintenance_of`; None if its backend offers none.
        backend: the name of its backend, which has to be that of the backup, unless that is an export.
        opening: opens the store, and makes it if it is not there, for an export.
        place: what the store is called in messages; `maintenance` has a name for it too.
        replace: whether a store that is there is replaced. Nobody may have it open.
        progress: told how far it is.

    Raises:
        ConflictError: there is something already, and `replace` is False.
        NotEmptyError: the backup is an export, and the store has records.
        InvalidBackupError: the backup is damaged.
        UnreadableFileError: there is no such file.
        UnsupportedByBackendError: another backend made the backup.
        StoreBusyError: the store that would be replaced is in use.
        NotOfferedError: the backend restores no backups, or lacks a program for it.
    """
    progress = progress or ignore_progress
    file = Path(path)
    store = place or (backend if maintenance is None else maintenance.place)
    check_is_file(file, f", and nothing was restored to {store}")
    manifest = read_manifest(file)
    is_export = told_by(file) == FORMAT if manifest is None else manifest.format == FORMAT
    if manifest is not None:
        if manifest.backend != backend and not is_export:
            missing = f"the backups of {manifest.backend!r}"
            remedy = f"restore it into a store of {manifest.backend!r}, then `aaow-storage copy` it"
            raise UnsupportedByBackendError(f"the backend {backend!r}", missing, remedy)
        digest = await digest_file(file, manifest.digest.block_bytes, steps_of(progress, "comparing bytes"))
        problems = tuple(f"{each.place}: {each.problem}" for each in changed_bytes(file, manifest.digest, digest))
        if problems:
            raise InvalidBackupError(str(file), problems)
    if not is_export:
        if maintenance is None:
            raise NotOfferedError("restore", store)
        content = await maintenance.restore(file, steps_of(progress, "restoring"), replace=replace)
    elif opening is None or replace:
        missing = "replacing a store by an export" if replace else "restoring an export without opening the store"
        raise UnsupportedByBackendError(store, missing, "restore it into an empty store")
    else:
        async with opening() as target:
            content = await restore_export(file, target, store, progress)
    return RestoreReport(
        file=file,
        store=store,
        has_manifest=manifest is not None,
        schema_version=content.schema_version,
        rows=content.rows,
    )
