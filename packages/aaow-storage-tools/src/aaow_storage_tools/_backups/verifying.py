"""`verify_backup`: what is in a backup, and whether it is what was written."""

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import frozen

from aaow_storage import NotOfferedError, maintenance_of
from aaow_storage.authoring import BackupContent, MaintenanceFinding, StoreMaintenance
from aaow_storage_tools._backups.digests import BLOCK_BYTES, FileDigest, check_is_file, digest_file
from aaow_storage_tools._backups.exports import BEGINNINGS, FORMAT, verify_export
from aaow_storage_tools._backups.manifest import Manifest, manifest_path, read_manifest
from aaow_storage_tools._backups.steps import steps_of
from aaow_storage_tools._errors import InvalidManifestError, UnreadableFileError
from aaow_storage_tools._progress import ProgressCallback, ignore_progress

_REMEDY = "use another backup"
_MAX_BLOCKS_TOLD = 10
_BEGINNINGS = {b"SQLite format 3\0": "sqlite", b"PGDMP": "postgresql"}
"""How the files of backends begin, for a backup without a manifest."""


@frozen(kw_only=True)
class VerifyReport:
    """What a backup is, and what is wrong with it.

    Attributes:
        file: the backup.
        has_manifest: whether there is a manifest, so that the bytes could be compared with what was written.
        is_read: whether the backend has read the file, not only compared its bytes.
        format: its form, None if that is not known.
        schema_version: the version of the schema in it.
        rows: how many rows each table has.
        size: how many bytes it has.
        findings: what is wrong with it; empty if all is well.
        notes: what could not be checked, a sentence each.
    """

    file: Path
    has_manifest: bool
    is_read: bool
    format: str | None
    schema_version: str | None
    rows: Mapping[str, int]
    size: int
    findings: tuple[MaintenanceFinding, ...]
    notes: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "file": str(self.file),
            "is_sound": self.is_sound,
            "has_manifest": self.has_manifest,
            "is_read": self.is_read,
            "format": self.format,
            "schema_version": self.schema_version,
            "rows": dict(self.rows),
            "size": self.size,
            "findings": [
                {"problem": each.problem, "place": each.place, "remedy": each.remedy} for each in self.findings
            ],
            "notes": list(self.notes),
        }


async def verify_backup(
    path: str | PathLike[str], *, backend: str | None = None, progress: ProgressCallback | None = None
) -> VerifyReport:
    """Read a backup, compare its bytes with its manifest, let its backend read it; return what is wrong with it.

    It needs no store, and changes nothing. Every changed, missing or added byte is found if there is a manifest;
    without one, only what the backend finds.

    Args:
        path: the file.
        backend: the name of the backend that made it, if there is no manifest and the file does not tell.
        progress: told how far it is.

    Raises:
        UnreadableFileError: the file is not there, or cannot be read.
    """
    progress = progress or ignore_progress
    file = Path(path)
    check_is_file(file)
    findings: list[MaintenanceFinding] = []
    notes: list[str] = []
    manifest = None
    try:
        manifest = read_manifest(file)
        if manifest is None:
            notes.append(f"there is no manifest {manifest_path(file).name}: the bytes could not be compared")
    except InvalidManifestError as error:
        findings.append(MaintenanceFinding(problem=str(error), place=error.file, remedy=_REMEDY))
    block_bytes = BLOCK_BYTES if manifest is None else manifest.digest.block_bytes
    digest = await digest_file(file, block_bytes, steps_of(progress, "comparing bytes"))
    if manifest is not None:
        findings += changed_bytes(file, manifest.digest, digest)
    name = backend or (manifest.backend if manifest is not None else told_by(file))
    content = None
    if (name if manifest is None else manifest.format) == FORMAT:
        content = await verify_export(file, progress)
    elif name is None:
        notes.append("nothing tells which backend made the file: name it by --backend")
        if manifest is None and not findings:
            problem = "neither a manifest nor the file itself tells what it is"
            findings.append(MaintenanceFinding(problem=problem, place=str(file), remedy="name its backend"))
    else:
        content, reason = await _read(maintenance_of(name), file, progress)
        notes += [reason] if reason else []
    if content is not None:
        findings += content.findings
        findings += [] if manifest is None or findings else _other_content(file, manifest, content)
    return VerifyReport(
        file=file,
        has_manifest=manifest is not None,
        is_read=content is not None,
        format=content.format if content is not None else None if manifest is None else manifest.format,
        schema_version=None if content is None else content.schema_version,
        rows={} if content is None else content.rows,
        size=digest.size,
        findings=tuple(findings),
        notes=tuple(notes),
    )


async def _read(
    maintenance: StoreMaintenance, file: Path, progress: ProgressCallback
) -> tuple[BackupContent | None, str]:
    """Return what the backend finds in a file, or why it cannot look."""
    try:
        return await maintenance.verify(file, steps_of(progress, "reading")), ""
    except NotOfferedError as error:
        return None, f"the content was not read: {error}"


def changed_bytes(file: Path, written: FileDigest, found: FileDigest) -> Iterator[MaintenanceFinding]:
    """Yield where the bytes of a file are not those of its manifest."""
    if found.size != written.size:
        problem = f"the file has {found.size:,} bytes, and {written.size:,} were written"
        problem += ": it was cut off" if found.size < written.size else ": something was added"
        yield MaintenanceFinding(problem=problem, place=str(file), remedy=_REMEDY)
    kept = min(found.size, written.size)
    wrong = [
        number
        for number, (before, after) in enumerate(zip(written.blocks, found.blocks, strict=False))
        if before != after and (found.size == written.size or (number + 1) * written.block_bytes <= kept)
    ]
    for number in wrong[:_MAX_BLOCKS_TOLD]:
        end = min((number + 1) * written.block_bytes, written.size)
        place = f"{file}, bytes {number * written.block_bytes:,} to {end:,}"
        yield MaintenanceFinding(problem="the bytes are not those that were written", place=place, remedy=_REMEDY)
    if len(wrong) > _MAX_BLOCKS_TOLD:
        problem = f"{len(wrong) - _MAX_BLOCKS_TOLD} more parts are not what was written"
        yield MaintenanceFinding(problem=problem, place=str(file), remedy=_REMEDY)
    if not wrong and found.size == written.size and found.sha256 != written.sha256:
        problem = "the digest of the file is not that of the manifest, though those of its parts are"
        yield MaintenanceFinding(problem=problem, place=str(manifest_path(file)), remedy=_REMEDY)


def _other_content(file: Path, manifest: Manifest, content: BackupContent) -> Iterator[MaintenanceFinding]:
    """Yield what a backup has other than its manifest says."""
    if content.schema_version != manifest.schema_version:
        problem = f"the schema is {content.schema_version}, and the manifest says {manifest.schema_version}"
        yield MaintenanceFinding(problem=problem, place=str(file), remedy=_REMEDY)
    for name in sorted({*content.rows, *manifest.rows}):
        found, expected = content.rows.get(name, 0), manifest.rows.get(name, 0)
        if found != expected:
            problem = f"{found:,} rows are there, and the manifest says {expected:,}"
            yield MaintenanceFinding(problem=problem, place=f"{file}, {name}", remedy=_REMEDY)


def told_by(file: Path) -> str | None:
    """Return the backend that a file is of, or that it is an export, as its first bytes tell."""
    try:
        with file.open("rb") as opened:
            beginning = opened.read(max(map(len, _BEGINNINGS)))
    except OSError as error:
        raise UnreadableFileError(str(file), str(error.strerror or error)) from error
    if beginning.startswith(BEGINNINGS):
        return FORMAT
    return next((backend for begins, backend in _BEGINNINGS.items() if beginning.startswith(begins)), None)
