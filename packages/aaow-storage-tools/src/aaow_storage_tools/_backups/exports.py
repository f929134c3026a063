"""Backups as exports: for a backend that makes no backups, or lacks a program for it."""

from pathlib import Path

from aaow_storage import StorageAdapter
from aaow_storage.authoring import BackupContent, MaintenanceFinding
from aaow_storage_tools._archives.exporting import export_store
from aaow_storage_tools._archives.importing import import_store
from aaow_storage_tools._archives.validating import Validation
from aaow_storage_tools._backups.manifest import remove_file
from aaow_storage_tools._copying.seen_ids import SeenIds
from aaow_storage_tools._errors import InvalidArchiveError
from aaow_storage_tools._progress import ProgressCallback

FORMAT = "export"
BEGINNINGS = (b"{", b"\x28\xb5\x2f\xfd")
"""How an export begins: with JSON, or with a frame of Zstandard."""
_JOURNAL = ".restore-journal"


async def export_backup(storage: StorageAdapter, file: Path, progress: ProgressCallback) -> BackupContent:
    """Write all records of a store to a new file. Each session is as it was when its turn came."""
    result = await export_store(storage, file, progress=progress)
    return BackupContent(format=FORMAT, schema_version=None, rows=result.counts)


async def verify_export(file: Path, progress: ProgressCallback) -> BackupContent:
    """Check every line of an export, and return how many records of each kind it has."""
    with SeenIds.open() as seen:
        validation = Validation(file, seen)
        findings = []
        try:
            await validation.run(tell=progress)
        except InvalidArchiveError as error:
            findings.append(MaintenanceFinding(problem=str(error), place=str(file), remedy="use another backup"))
        for each in validation.problems:
            place = f"{file}, line {each.line}"
            findings.append(MaintenanceFinding(problem=each.problem, place=place, remedy="use another backup"))
    return BackupContent(format=FORMAT, schema_version=None, rows=validation.counts, findings=tuple(findings))


async def restore_export(file: Path, target: StorageAdapter, place: str, progress: ProgressCallback) -> BackupContent:
    """Store all records of an export in a store that has none.

    Raises:
        NotEmptyError: it has some.
        InvalidArchiveError: a line is wrong; nothing was stored.
        ResumableError: a large one was interrupted; the same call goes on.
    """
    journal = file.with_name(f"{file.name}{_JOURNAL}")
    result = await import_store(file, target, journal=journal, target_name=place, progress=progress)
    for each in (journal, journal.with_name(f"{journal.name}.lock")):  # so that the next call begins anew
        remove_file(each)
    return BackupContent(format=FORMAT, schema_version=None, rows=result.counts)
