"""Private MariaDB servers, each in a temporary folder."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pymysql

from aaow_storage_mariadb.testing._connections import connect, fetch, quoted
from aaow_storage_mariadb.testing._programs import Programs, find_programs
from aaow_storage_sql.testing import ServerOwner, free_port

USER = "aaow"
PASSWORD = "aaow"  # noqa: S105 - of servers that listen on 127.0.0.1 alone
OWNER = ServerOwner("mysql")
PREFIX = "aaow-mariadb-"
"""Of the names of folders."""
STARTS_WITHIN_S = 60.0
_STOPS_WITHIN_S = 30.0
_POLL_S = 0.02
_MAX_TOLD_CHARS = 20_000
SMALL: Mapping[str, str] = MappingProxyType(
    {
        "innodb-buffer-pool-size": "128M",
        "innodb-log-file-size": "64M",
        "innodb-use-native-aio": "OFF",  # the kernel limits how much of it all servers have together
        "max-allowed-packet": "64M",
        "max-connections": "300",
        "performance-schema": "OFF",
    }
)
WITHOUT_FLUSHES: Mapping[str, str] = MappingProxyType(
    {"innodb-flush-log-at-trx-commit": "2", "innodb-flush-method": "nosync", "innodb-doublewrite": "OFF"}
)
"""What was committed outlives the server's processes, and not the machine."""


class Server:
    """A server that listens on a free port of 127.0.0.1. It has MariaDB's own settings, but for its size.

    Its processes are a group of their own, so they are stopped, killed and made to stand still together.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], programs: Programs) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._settings = settings
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._held_by_all = -1
        """The end of a pipe. All processes of the server hold the other end, so it closes with the last of them."""

    @property
    def address(self) -> str:
        """Host and port, as a URL has them."""
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the server was started, and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "") -> str:
        """Return the URL of a database for a user who may create databases, and nothing else that is global."""
        return f"mariadb://{USER}:{PASSWORD}@{self.address}/{database}"

    def create(self) -> None:
        """Make the data folder, without the user."""
        self.run(
            [str(self._programs.installer), "--no-defaults", *self._programs.options(), f"--datadir={self.data}",
             f"--tmpdir={self.folder}",
             "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
             f"--innodb-log-file-size={self._settings['innodb-log-file-size']}", "--innodb-use-native-aio=OFF"]
        )  # fmt: skip

    def create_user(self) -> None:
        """Create the user of the URLs, on the running server."""
        account = f"{quoted(USER)}@'127.0.0.1'"
        self.execute(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
        self.execute(f"GRANT ALL PRIVILEGES ON `%`.* TO {account}")

    def start(self, arguments: Sequence[str] = ()) -> None:
        """Start the server, and wait until it answers.

        Raises:
            RuntimeError: it exited, or does not answer in time.
        """
        self.launch(arguments)
        self.wait_until_it_answers()

    def launch(self, arguments: Sequence[str] = ()) -> None:
        """Start the server, and wait for nothing."""
        self._started_by = os.getpid()
        self._held_by_all, held = os.pipe()
        with (self.folder / "log").open("ab") as log, os.fdopen(held, "wb"):
            self._process = subprocess.Popen(  # noqa: S603 - a program of the installation
                [*self.command(), *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=[held],
                start_new_session=True,
                env=self._programs.environment(),
                **OWNER.popen_options(),
            )

    def stop(self) -> None:
        """Stop the server, and wait until all its processes have ended; one that does not stop is killed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all processes of the server, and wait until they have ended."""
        self._end(signal.SIGKILL)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop all processes of the server inside the block: the kernel acknowledges packets, no process answers.

        Raises:
            RuntimeError: the server does not run.
        """
        if self._process is None:
            raise RuntimeError("the server does not run")
        group = self._process.pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

    def create_database(self, name: str) -> None:
        """Create a database."""
        self.execute(f"CREATE DATABASE {quoted(name)}")

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement as an administrator, and return the rows that it has."""
        with closing(connect(f"mariadb://root@{self.address}")) as connection:
            return fetch(connection, statement, *values)

    def log(self) -> str:
        """Return what the server has printed."""
        return (self.folder / "log").read_text(errors="replace")

    def run(self, command: Sequence[str]) -> str:
        """Run one of MariaDB's programs as the owner of the server, and return what it prints.

        Raises:
            RuntimeError: it fails.
        """
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - a program of the installation
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            env=self._programs.environment(),
            **OWNER.popen_options(),
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")
        return done.stdout

    def command(self) -> list[str]:
        """Return the command that starts the server."""
        options = {
            "plugin-dir": str(self._programs.prefix / "lib/mysql/plugin"),
            "datadir": str(self.data),
            "tmpdir": str(self.folder),  # a server that starts removes the temporary tables that it finds there
            "port": str(self.port),
            "bind-address": "127.0.0.1",
            "socket": str(self.folder / "socket"),
            "pid-file": str(self.folder / "pid"),
            **self._settings,
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        return [str(self._programs.server), "--no-defaults", "--skip-name-resolve", *self._programs.options(), *given]

    def wait_until_it_answers(self) -> None:
        """Wait until a client can log in.

        Raises:
            RuntimeError: the server exited, or does not answer in time.
        """
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                connect(f"mariadb://root@{self.address}").close()
            except (pymysql.Error, OSError) as error:
                self.fail_if_ended_or_after(deadline, error)
                time.sleep(_POLL_S)
            else:
                return

    def fail_if_ended_or_after(self, deadline: float, reason: object) -> None:
        """Raise an error with the server's log if it has ended, or if it is later than that.

        Raises:
            RuntimeError: it is so.
        """
        if not self.is_running or time.monotonic() > deadline:
            state = "does not get ready" if self.is_running else "has ended"
            raise RuntimeError(f"the MariaDB server {state}: {reason}\n{self.log()[-_MAX_TOLD_CHARS:]}")

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or os.getpid() != self._started_by:  # a forked process leaves the server alone
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        try:
            self._process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError, PermissionError):  # the programs that it has started
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None
        with os.fdopen(self._held_by_all, "rb") as held:
            held.read()


@contextmanager
def private_server(*, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Server]:
    """Yield a private server. Unless a setting says how it flushes, it flushes nothing, and its files are in memory.

    Its processes are those of the current user; root runs it as the user `mysql` or `nobody`. A forked process that
    leaves the block, as it does when it exits, does not stop the server.

    Args:
        settings: options of `mariadbd`, such as `{"innodb-flush-log-at-trx-commit": "1"}`.

    Raises:
        NoMariaDBError: none is installed.
    """
    programs = find_programs()
    flushes = not WITHOUT_FLUSHES.keys().isdisjoint(settings)
    chosen = {**SMALL, **({} if flushes else WITHOUT_FLUSHES), **settings}
    with OWNER.folder(prefix=PREFIX, in_memory=not flushes) as folder:
        server = Server(folder, chosen, programs)
        server.create()
        try:
            server.start()
            server.create_user()
            yield server
        finally:
            server.kill()
