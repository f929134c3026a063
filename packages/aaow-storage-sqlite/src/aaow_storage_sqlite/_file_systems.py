"""Which file system a file is on, as Linux tells it."""

from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_OF_OTHER_MACHINES = {
    "9p",
    "afs",
    "ceph",
    "cifs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
}
_LOCAL_BY_FUSE = {"fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.ext2", "fuse.mergerfs", "fuseblk"}


def file_system_of(path: Path) -> str | None:
    """Return the kind of the file system, such as `ext4`; None if the system does not tell."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    kinds: dict[str, str] = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        kinds[_unescaped(before.split()[4])] = after.split()[0]  # a later mount hides an earlier one
    return next((kinds[str(folder)] for folder in path.absolute().parents if str(folder) in kinds), None)


def is_of_another_machine(kind: str) -> bool:
    """Return whether a kind of file system shares files over a network, or with a host."""
    return kind in _OF_OTHER_MACHINES or (kind.startswith("fuse.") and kind not in _LOCAL_BY_FUSE)


def _unescaped(path: str) -> str:
    """Return a path of the table of mounts, which has white space and backslashes in octal."""
    for escaped, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        path = path.replace(escaped, character)
    return path
