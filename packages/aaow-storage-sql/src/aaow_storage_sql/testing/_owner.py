"""The user that servers run as, and the folders that belong to it."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
_MEMORY_NEEDED_BYTES = 2 * 2**30
"""Free space that is needed there; a container often has little."""


class ServerOwner:
    """The user that runs servers: the current one; in place of root, the first of some names that exists.

    Args:
        names: the user of the server's own packages; after it comes `nobody`.
    """

    def __init__(self, *names: str) -> None:
        self._names = (*names, "nobody")

    def popen_options(self) -> dict[str, Any]:
        """Return the options of `Popen` to run a process as this user."""
        user = self._user()
        if user is None:
            return {"cwd": "/"}
        return {"cwd": "/", "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    @contextmanager
    def folder(self, *, prefix: str, in_memory: bool = False) -> Iterator[Path]:
        """Yield a folder that this user owns; it is removed after the block, except in a forked process.

        With `in_memory` it is on a RAM disk if there is room: a database is hundreds of small files, which a disk
        creates ten times slower.
        """
        place = _MEMORY if in_memory and _MEMORY.is_dir() and _has_room(_MEMORY) else None
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        maker = os.getpid()
        user = self._user()
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        try:
            yield folder
        finally:
            if os.getpid() == maker:
                shutil.rmtree(folder, ignore_errors=True)

    def _user(self) -> pwd.struct_passwd | None:
        """Return the user to change to; None for the current one."""
        if os.geteuid() != 0:
            return None
        users = {entry.pw_name: entry for entry in pwd.getpwall()}
        return next(users[name] for name in self._names if name in users)


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= _MEMORY_NEEDED_BYTES
