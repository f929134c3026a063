"""Making the file of a store and the folders on the way to it, with the permissions that were asked for."""

import os
import stat
from contextlib import suppress
from pathlib import Path

_OF_ALL = (0, 3, 6)
"""Where the permissions of others, of the group and of the owner begin in a mode."""


def make_place(path: Path, file_mode: int | None) -> None:
    """Make the folders that are missing, and where there is a mode, the file, empty; what is there stays as it is.

    Without a mode the folders get what the umask leaves of 0o777, and SQLite makes the file with what it leaves of
    0o644. With one, whatever the umask is, the file has exactly that mode, and a folder the same and search permission
    where the file has read or write permission; at no moment has either of them more.

    Raises:
        OSError: a folder or the file cannot be made.
    """
    if file_mode is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    _make_folders(path.parent, _folder_mode(file_mode))
    with suppress(FileExistsError):
        _make_file(path, file_mode)
        _set_mode(path, file_mode)


def _folder_mode(file_mode: int) -> int:
    return file_mode | sum(1 << shift for shift in _OF_ALL if file_mode >> shift & 0o6)


def _make_folders(folder: Path, mode: int) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, mode)
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _set_mode(folder, mode)


def _make_file(path: Path, mode: int) -> None:
    """Make an empty file.

    It is not opened where that can be avoided: to close a descriptor of a database gives up the locks that SQLite holds
    on it for the whole process, and another adapter may have opened it meanwhile.
    """
    try:
        os.mknod(path, stat.S_IFREG | mode)
    except (AttributeError, PermissionError):  # not on this system, or only for its administrator
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))


def _set_mode(path: Path, mode: int) -> None:
    """Give what was made just now the permissions that the umask took from it; other bits stay, such as setgid."""
    found = stat.S_IMODE(path.stat().st_mode)
    if found & 0o777 != mode:
        path.chmod(found & ~0o777 | mode)
