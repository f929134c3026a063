"""Where the journal of a copy or an import is: beside the target."""

import hashlib
import os
from pathlib import Path

from aaow_storage import NotOfferedError
from aaow_storage_tools.command_line.stores import Store


def name_of(store: Store) -> str:
    """Return a name of a store that is the same wherever it is named from, without a password."""
    try:
        return store.maintenance().place
    except NotOfferedError:
        return store.place


def journal_path(job: str, target: Store, other: str) -> Path:
    """Return where the journal of a job is: beside a target that is a file, or in the folder of the user's state."""
    place = name_of(target)
    key = hashlib.sha256(f"{job}\n{place}\n{other}".encode()).hexdigest()[:8]
    path = Path(place)
    if path.is_absolute() and path.parent.is_dir():
        return path.with_name(f"{path.name}.{job}-{key}.json")
    folder = os.environ.get("XDG_STATE_HOME")
    return (Path(folder) if folder else Path.home() / ".local" / "state") / "aaow-storage" / f"{job}-{key}.json"
