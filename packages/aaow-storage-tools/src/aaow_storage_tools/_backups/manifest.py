"""The manifest of a backup: a JSON file beside it that says what it is, and what its bytes are."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import field, frozen

from aaow_storage_tools._backups.digests import FileDigest
from aaow_storage_tools._errors import InvalidManifestError
from aaow_storage_tools._whole_files import whole_file

KIND = "aaow-storage backup"
VERSION = 1
SUFFIX = ".manifest.json"


@frozen(kw_only=True)
class Manifest:
    """What a backup is, and what its bytes are.

    Attributes:
        backend: the backend of the store.
        format: the form of the file: that of the backend, such as `sqlite`, or `export`.
        store: the name of the store, without a password.
        schema_version: the version of the schema in it, None for an export.
        rows: how many rows each table has, or how many records each kind.
        begun_at: when the backup began: it has everything that was acknowledged before.
        ended_at: when it was whole.
        digest: the size and the digests of the file.
    """

    backend: str
    format: str
    store: str
    schema_version: str | None
    rows: Mapping[str, int] = field(factory=dict)
    begun_at: datetime
    ended_at: datetime
    digest: FileDigest

    def to_dict(self) -> dict[str, Any]:
        """Return what is written into the file."""
        return {
            "kind": KIND,
            "version": VERSION,
            "backend": self.backend,
            "format": self.format,
            "store": self.store,
            "schema_version": self.schema_version,
            "rows": dict(self.rows),
            "begun_at": self.begun_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "size": self.digest.size,
            "sha256": self.digest.sha256,
            "block_bytes": self.digest.block_bytes,
            "blocks": list(self.digest.blocks),
        }


def manifest_path(path: Path) -> Path:
    """Return where the manifest of a backup is."""
    return path.with_name(f"{path.name}{SUFFIX}")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of the backup at a path, whole or not at all, with the permissions of the backup."""
    text = json.dumps(manifest.to_dict(), indent=2, ensure_ascii=False)
    with whole_file(manifest_path(path), path.stat().st_mode & 0o777) as file:
        file.write(f"{text}\n".encode())


def remove_backup(path: Path) -> None:
    """Remove a backup that did not become whole, and its manifest."""
    for each in (manifest_path(path), path):
        remove_file(each)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of the backup at a path, None if there is none.

    Raises:
        InvalidManifestError: it is damaged, or of a later version.
    """
    place = manifest_path(path)
    try:
        text = place.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidManifestError(str(place), f"it cannot be read: {error}") from error
    try:
        found = json.loads(text)
        if found["kind"] != KIND:
            raise InvalidManifestError(str(place), "it is no manifest of a backup")
        if found["version"] != VERSION:
            raise InvalidManifestError(str(place), f"it has version {found['version']}; use a later release to read it")
        return _manifest_of(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidManifestError(str(place), f"it is damaged ({type(error).__name__}: {error})") from error


def _manifest_of(found: dict[str, Any]) -> Manifest:
    blocks = tuple(map(str, found["blocks"]))
    digest = FileDigest(
        size=int(found["size"]), sha256=str(found["sha256"]), block_bytes=int(found["block_bytes"]), blocks=blocks
    )
    if digest.block_bytes < 1 or len(blocks) != -(-digest.size // digest.block_bytes):
        raise ValueError("its blocks do not fit the size")
    return Manifest(
        backend=str(found["backend"]),
        format=str(found["format"]),
        store=str(found["store"]),
        schema_version=None if found["schema_version"] is None else str(found["schema_version"]),
        rows={str(name): int(count) for name, count in found["rows"].items()},
        begun_at=datetime.fromisoformat(found["begun_at"]),
        ended_at=datetime.fromisoformat(found["ended_at"]),
        digest=digest,
    )
