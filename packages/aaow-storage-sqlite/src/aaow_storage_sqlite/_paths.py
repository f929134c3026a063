"""The file of a store on the disk: symbolic links are resolved, and missing folders created."""

import errno
import os
import stat
from pathlib import Path

from attrs import evolve

from aaow_storage.errors import StorageUnavailableError, ValidationError
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._permissions import create_folders_and_file


def resolve_path(location: Location) -> Location:
    """Return the location with its symbolic links resolved; nothing is created.

    SQLite puts the write-ahead log beside the resolved file, so every process finds it there, whichever path it uses.

    Raises:
        ValidationError: the path is not a file, or a link that leads to none, or is missing and must not be created.
        StorageUnavailableError: a folder on the way cannot be searched.
    """
    path = location.path
    if path is None:
        return location
    file = Path(os.path.realpath(path))
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not location.creates:
            raise _invalid(
                f"{path} does not exist, and mode=rw does not create it; drop mode=rw to create it"
            ) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _invalid(f"{path} is a symbolic link that leads back to itself; let it lead to a file") from error
        raise StorageUnavailableError(
            f"{path} cannot be examined: {error}; check the permissions of its folders"
        ) from error
    else:
        if stat.S_ISDIR(mode):
            raise _invalid(f"{path} is a folder; name a file in it")
        if not stat.S_ISREG(mode):
            raise _invalid(f"{path} is a device, a pipe or a socket; name a file")
    return evolve(location, path=file, named=path)


def ensure_parent_directory(location: Location) -> None:
    """Create the folder that the file is to be in, and, if it is to have certain permissions, the file.

    Raises:
        StorageUnavailableError: it cannot be created.
    """
    if location.path is None:
        return
    try:
        create_folders_and_file(location.path, location.file_mode)
    except OSError as error:
        raise StorageUnavailableError(
            f"{location}: its folder cannot be created: {error}; create it, or choose another path"
        ) from error


def _invalid(problem: str) -> ValidationError:
    return ValidationError("sqlite", "url", problem)
