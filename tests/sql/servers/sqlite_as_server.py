"""A backend of a server whose server is a SQLite file: what the layer of servers does, without one."""

import math
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from attrs import field, frozen

from aaow_storage import Capability
from aaow_storage_sql import (
    ErrorTable,
    Meaning,
    Opening,
    PreparedStore,
    Server,
    ServerConnection,
    ServerDialect,
    ServerExecutor,
    ServerSettings,
    SQLStorageAdapter,
    Watchdog,
    open_connection,
    set_recording,
)
from aaow_storage_sqlite._dialect import SQLiteDialect
from aaow_storage_sqlite._functions import install

BUSY_TIMEOUT_S = 10.0


@frozen(kw_only=True)
class Settings(ServerSettings):
    """The options, and the file."""

    backend: ClassVar[str] = "sqlite_as_server"
    path: Path

    @property
    def place(self) -> str:
        return str(self.path)


class Dialect(ServerDialect, SQLiteDialect):
    """SQLite's SQL, with errors that are a table, and changes that connections record."""

    records_changes: ClassVar[bool] = False
    errors = ErrorTable(
        backend=Settings.backend,
        database="SQLite",
        code_of=lambda error: getattr(error, "sqlite_errorcode", None),
        codes={
            sqlite3.SQLITE_ABORT: Meaning.CONFLICT,
            sqlite3.SQLITE_BUSY: Meaning.LOCKED,
            sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Meaning.MISSING_REFERENCE,
            sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Meaning.DUPLICATE,
        },
        texts={"lost": Meaning.LOST, "Cannot operate on a closed database": Meaning.LOST},
    )

    @staticmethod
    def run_at_once(text: str) -> str:
        return text

    @property
    def place(self) -> str:
        return self.location


class Connection(ServerConnection):
    """A connection to the file.

    Attributes:
        commit_by: what the server does with COMMIT in the place of doing it.
    """

    commit_by: "Callable[[Connection], Any] | None" = None

    @property
    def socket_descriptor(self) -> int:
        raise NotImplementedError("there is no socket, so it has no watchdog")

    @property
    def is_closed(self) -> bool:
        try:
            _ = self.driver_connection.total_changes
        except sqlite3.ProgrammingError:
            return True
        return False

    def send_cancel(self, timeout_s: float) -> None:
        self.driver_connection.interrupt()

    def begin_transaction(self, *, writes: bool, max_statement_s: float = math.inf) -> None:
        self.command("BEGIN IMMEDIATE" if writes else "BEGIN")

    def execute(self, text: str, values: Sequence[Any]) -> Any:
        if text == "COMMIT" and self.commit_by is not None:
            return self.commit_by(self)
        return super().execute(text, values)


@frozen(eq=False)
class SQLiteServer(Server):
    """The file as a server."""

    name: ClassVar[str] = "sqlite"
    settings: Settings
    dialect: Dialect = field(init=False)

    @dialect.default
    def _make_dialect(self) -> Dialect:
        return Dialect(self.settings.place)

    def connect(self, watchdog: Watchdog | None = None, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Connection:
        driver_connection = sqlite3.connect(
            self.settings.path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        driver_connection.execute("PRAGMA foreign_keys = ON")
        connection = Connection(driver_connection, self.settings, self.dialect, reconnect=self.connect)
        install(driver_connection, connection.failures, connection.replaced)
        return connection

    def prepare(self, opening: Opening, watchdog: Watchdog, *, migrate: bool) -> PreparedStore:
        with open_connection(self.connect, opening) as connection:
            return PreparedStore(self, set_recording(connection, self.settings))


class Executor(ServerExecutor):
    """Runs operations on the threads of one adapter."""

    def make_server(self) -> SQLiteServer:
        return SQLiteServer(self._settings)


def adapter_of(settings: Settings) -> SQLStorageAdapter:
    """Make an adapter of a file that has the schema."""
    return SQLStorageAdapter(Executor(settings), frozenset({Capability.STREAM_EVENTS, Capability.CHANGES}))
