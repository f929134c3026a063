"""Private PostgreSQL servers, each in a temporary folder."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import psycopg
from psycopg import sql

from aaow_storage_postgresql.testing._binaries import folder_of_binaries
from aaow_storage_sql.testing import ServerOwner, free_port

USER = "aaow"
OWNER = ServerOwner("postgres")
PREFIX = "aaow-postgresql-"
"""Of the names of folders."""
STARTS_WITHIN_S = 60.0
_POLL_S = 0.02
_FAST: Mapping[str, str] = MappingProxyType(
    {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "max_wal_size": "256MB"}
)
_STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Server:
    """A server that listens on a free port of 127.0.0.1."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self._settings = settings
        self._binaries = folder_of_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._held_by_all = -1
        """The end of a pipe. All processes of the server hold the other end, so it closes with the last of them."""

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, arguments: Sequence[str] = ()) -> None:
        """Run `initdb`, and write the settings."""
        self.run("initdb", "--pgdata", str(self.data), "--username", USER, "--auth", "trust", "--no-sync",
                  "--encoding", "UTF8", "--no-instructions", *(arguments or ("--locale", "C")))  # fmt: skip
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(lines)

    def start(self) -> None:
        """Start the server, and wait until it answers.

        Raises:
            RuntimeError: it exited, or does not answer in time.
        """
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._started_by = os.getpid()
        self._held_by_all, held = os.pipe()
        with (self.folder / "log").open("ab") as log, os.fdopen(held, "wb"):
            self._process = subprocess.Popen(  # noqa: S603 - a program of the installation
                [str(self._binaries / "postgres"), "-D", str(self.data), *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=[held],
                **OWNER.popen_options(),
            )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log_text = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"the PostgreSQL server does not start: {error}\n{log_text}") from error
                time.sleep(_POLL_S)
            else:
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `"smart"`, `"fast"` or `"immediate"`, as `pg_ctl` says."""
        self._end(_STOPS[mode])

    def kill(self) -> None:
        """Kill the server, and wait until all its processes have ended."""
        self._end(signal.SIGKILL)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop all processes of the server inside the block: the kernel acknowledges packets, no process answers.

        Raises:
            RuntimeError: the server does not run.
        """
        if self._process is None:
            raise RuntimeError("the server does not run")
        os.kill(self._process.pid, signal.SIGSTOP)  # so it starts no more processes
        processes = [self._process.pid, *_children(self._process.pid)]
        try:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of the template if one is given."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement = sql.SQL("{} TEMPLATE {}").format(statement, sql.Identifier(template))
        self._execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the sessions on it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed | sql.SQL) -> None:
        with closing(psycopg.connect(self.url(), autocommit=True)) as connection:
            connection.execute(statement)

    def confirm_by(self, standby: str) -> None:
        """Make every commit wait until that standby has flushed it."""
        self._execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(standby)))
        self._execute(sql.SQL("SELECT pg_reload_conf()"))
        self._execute(sql.SQL("CHECKPOINT"))  # the checkpointer applies synchronous_standby_names

    def promote(self) -> None:
        """Promote a standby, and wait until it accepts writes."""
        self._execute(sql.SQL("SELECT pg_promote()"))

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or os.getpid() != self._started_by:  # a forked process leaves the server alone
            return
        self._process.send_signal(number)
        self._process.wait()
        self._process = None
        with os.fdopen(self._held_by_all, "rb") as held:
            held.read()

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the owner of the server.

        Raises:
            RuntimeError: it fails.
        """
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **OWNER.popen_options())  # noqa: S603 - a program of the installation
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")


@contextmanager
def private_server(
    *, settings: Mapping[str, str] = MappingProxyType({}), initdb: Sequence[str] = ()
) -> Iterator[Server]:
    """Yield a private server. Without settings it flushes nothing, and its files are in memory.

    PostgreSQL refuses to run as root, so root runs it as the user `postgres` or `nobody`. A forked process that leaves
    the block, as it does when it exits, does not stop the server.

    Raises:
        NoPostgreSQLError: none is installed.
    """
    settings = {**_FAST, **settings}
    with OWNER.folder(prefix=PREFIX, in_memory=settings["fsync"] == "off") as folder:
        server = Server(folder, settings)
        server.create(initdb)
        try:
            server.start()
            yield server
        finally:
            server.stop("immediate")


@contextmanager
def standby_of(primary: Server, *, name: str = "standby") -> Iterator[Server]:
    """Yield a synchronous standby of a running server: it confirms every commit from now on."""
    with OWNER.folder(prefix=PREFIX, in_memory=True) as folder:
        standby = Server(folder, {})
        conninfo = f"{primary.url()}?application_name={name}"
        standby.run("pg_basebackup", "--pgdata", str(standby.data), "--dbname", conninfo,
                    "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")  # fmt: skip
        try:
            standby.start()
            primary.confirm_by(name)
            yield standby
        finally:
            standby.stop("immediate")


def _children(process: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=", "-o", "ppid="], capture_output=True, text=True, check=True)  # noqa: S607 - of POSIX
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(child) for child, parent in rows if int(parent) == process]
