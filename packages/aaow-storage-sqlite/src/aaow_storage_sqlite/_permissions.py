"""Creating the file of a store, and its folders, with the permissions that were asked for."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_SHIFTS = (0, 3, 6)
"""The positions of the permissions of others, of the group and of the owner in a mode."""
_READ_OR_WRITE = 0o6


def create_folders_and_file(path: Path, file_mode: int | None) -> None:
    """Create the missing folders and, if there is a mode, the file, empty; nothing that exists is changed.

    Without a mode the folders get what the umask leaves of 0o777, and SQLite later creates the file with what it leaves
    of 0o644. With a mode the umask does not matter: the file gets exactly that mode, and a folder gets the same plus
    search permission for each class of users that may read or write the file. At no moment do they have more.

    Raises:
        OSError: a folder or the file cannot be created.
    """
    if file_mode is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    _create_folders(path.parent, _folder_mode(file_mode))
    with suppress(FileExistsError):
        _create_file(path, file_mode)
        _set_mode(path, file_mode)


def _folder_mode(file_mode: int) -> int:
    return file_mode | sum(1 << shift for shift in _SHIFTS if file_mode >> shift & _READ_OR_WRITE)


def _create_folders(folder: Path, mode: int) -> None:
    if folder.is_dir():
        return
    _create_folders(folder.parent, mode)
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _set_mode(folder, mode)


def _create_file(path: Path, mode: int) -> None:
    """Create an empty file, by `mknod` if possible, which opens no descriptor.

    Closing a descriptor of a database drops the locks that SQLite holds on it for the whole process, and another
    adapter may have opened the file meanwhile.
    """
    try:
        os.mknod(path, stat.S_IFREG | mode)
    except (AttributeError, PermissionError):  # not on this system, or only for its administrator
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))


def _set_mode(path: Path, mode: int) -> None:
    """Restore the permissions that the umask removed from a new file or folder; other bits stay, such as setgid."""
    current = stat.S_IMODE(path.stat().st_mode)
    if current & 0o777 != mode:
        path.chmod(current & ~0o777 | mode)
