"""A PgBouncer in transaction mode: it assigns a server connection to each transaction."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from aaow_storage_postgresql.testing._servers import OWNER, PREFIX, USER, Server
from aaow_storage_sql.testing import NotInstalledError, free_port

STARTS_WITHIN_S = 20.0
_POLL_S = 0.02
_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
logfile =
"""


class NoPgBouncerError(NotInstalledError):
    """PgBouncer is not installed on this machine."""

    def __init__(self) -> None:
        super().__init__("PgBouncer is not installed: apt-get install pgbouncer, or brew install pgbouncer")


@contextmanager
def pgbouncer_of(server: Server) -> Iterator[str]:
    """Yield the URL of a PgBouncer in front of a server, for all its databases; it names none.

    Raises:
        NoPgBouncerError: none is installed.
    """
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        raise NoPgBouncerError
    with OWNER.folder(prefix=PREFIX) as folder:
        port = free_port()
        path = folder / "pgbouncer.ini"
        path.write_text(_CONFIGURATION.format(server_port=server.port, port=port, user=USER))
        process, starter = _start(program, path, folder / "log"), os.getpid()
        try:
            url = f"postgresql://{USER}@127.0.0.1:{port}"
            _wait_for(url, process)
            yield url
        finally:
            if os.getpid() == starter:  # a forked process leaves it alone
                process.terminate()
                process.wait()


def _start(program: str, path: Path, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - what was found to be installed
            [program, str(path)], stdout=output, stderr=output, stdin=subprocess.DEVNULL, **OWNER.popen_options()
        )
    return process


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer does not start: {error}") from error
            time.sleep(_POLL_S)
        else:
            return
