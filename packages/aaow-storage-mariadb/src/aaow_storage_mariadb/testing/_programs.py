"""Where MariaDB's programs are: installed, or unpacked from packages into a folder."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs

from aaow_storage_sql.testing import NotInstalledError

BINARIES_VARIABLE = "AAOW_TEST_MARIADB_BINARIES"
"""The environment variable with the folder that packages were unpacked into."""

_SERVERS = ("sbin/mariadbd", "bin/mariadbd", "libexec/mariadbd")
_USUAL_PREFIXES = ("/usr", "/usr/local", "/usr/local/opt/mariadb", "/opt/homebrew/opt/mariadb", "/usr/local/mysql")
_INSTALLERS = ("bin/mariadb-install-db", "scripts/mariadb-install-db")
_SHARES = ("share/mysql", "share/mariadb")
_GALERAS = ("lib/galera", "lib64/galera", "lib64/galera-4", "lib/galera-4", "lib")


class NoMariaDBError(NotInstalledError):
    """No MariaDB server is installed on this machine, and none is unpacked."""

    def __init__(self) -> None:
        super().__init__(
            "no MariaDB server is installed: apt-get install mariadb-server, or brew install mariadb, or name a folder "
            f"with unpacked packages in {BINARIES_VARIABLE}; or name a server in AAOW_TEST_MARIADB_URL"
        )


class NoGaleraError(NotInstalledError):
    """The Galera library or rsync, which make servers a cluster, is missing."""

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"MariaDB has no Galera cluster here, because {missing} is missing: apt-get install galera-4 rsync, or "
            f"unpack the packages into the folder of {BINARIES_VARIABLE}"
        )


@attrs.frozen
class Programs:
    """An installation of MariaDB.

    Attributes:
        prefix: its folder, such as `/usr`.
        server: `mariadbd`.
        installer: `mariadb-install-db`.
    """

    prefix: Path
    server: Path
    installer: Path

    def environment(self) -> dict[str, str]:
        """Return the environment variables for its processes."""
        folders = [str(self.prefix / name) for name in ("bin", "sbin")]
        path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
        libraries = [str(each) for each in sorted(self.prefix.glob("lib/*-linux-*"))]
        environment = {**os.environ, "PATH": path}
        if os.environ.get(BINARIES_VARIABLE) and libraries:
            environment["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
        return environment

    def options(self) -> list[str]:
        """Return the options with its folders, for the server and the installer."""
        share = next((self.prefix / name for name in _SHARES if (self.prefix / name / "charsets").is_dir()), None)
        if share is None:
            return [f"--basedir={self.prefix}"]
        return [f"--basedir={self.prefix}", f"--lc-messages-dir={share}", f"--character-sets-dir={share}/charsets"]

    def galera(self) -> Path:
        """Return the Galera library.

        Raises:
            NoGaleraError: it or rsync is missing.
        """
        if shutil.which("rsync", path=self.environment()["PATH"]) is None:
            raise NoGaleraError("rsync")
        for folder in _GALERAS:
            library = self.prefix / folder / "libgalera_smm.so"
            if library.exists():
                return library
        raise NoGaleraError("libgalera_smm.so")


def find_programs() -> Programs:
    """Return MariaDB's programs: of the folder that the variable names, else on PATH or in the usual folders.

    Raises:
        NoMariaDBError: there are none.
    """
    for prefix in _prefixes():
        server = _first(prefix, _SERVERS)
        installer = _first(prefix, _INSTALLERS)
        if server is not None and installer is not None:
            return Programs(prefix=prefix, server=server, installer=installer)
    raise NoMariaDBError


def _prefixes() -> Iterator[Path]:
    if unpacked := os.environ.get(BINARIES_VARIABLE):
        yield Path(unpacked) / "usr"
        return
    if found := shutil.which("mariadbd"):
        yield Path(found).resolve().parent.parent
    yield from map(Path, _USUAL_PREFIXES)


def _first(prefix: Path, names: tuple[str, ...]) -> Path | None:
    return next((prefix / name for name in names if (prefix / name).exists()), None)
