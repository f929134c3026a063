"""One psycopg connection: its sessions, its savepoints in few round trips, and its pipelines."""

import math
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import storage_errors_alone
from aaow_storage.errors import StorageError
from aaow_storage_postgresql import _catalog as catalog
from aaow_storage_postgresql._commands import run_commands
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._in_doubt import InDoubtTransaction, identify
from aaow_storage_postgresql._session_settings import limit_statements, set_session, set_transaction
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Parameters, Row, ServerConnection, Watchdog

_STATEMENT_TIMEOUT_MS = sa.select(sa.cast(catalog.settings.c.setting, sa.BigInteger)).where(
    catalog.settings.c.name == sa.literal_column("'statement_timeout'")
)
_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"
_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class OperationSavepoint(Enum):
    """The savepoint of the last operation of the open transaction.

    It is released together with the command that follows, since each round trip costs as much as a small statement.
    COMMIT and ROLLBACK release it themselves.
    """

    NONE = "there is none"
    USED = "it is older than what the operation did"
    UNUSED = "nothing was done since, so it serves the next operation"


class PostgreSQLConnection(ServerConnection):
    """One psycopg connection. Replace it when it `is_lost`."""

    dialect: PostgreSQLDialect
    _settings: Settings

    def __init__(
        self,
        driver_connection: Any,
        settings: Settings,
        dialect: PostgreSQLDialect,
        watchdog: Watchdog | None = None,
        *,
        reconnect: "Callable[[], PostgreSQLConnection]",
    ) -> None:
        super().__init__(driver_connection, settings, dialect, watchdog, reconnect=reconnect)
        self._statement_limit_s = math.inf if settings.statement_timeout is None else settings.statement_timeout
        """How long the server lets a statement run, in seconds."""
        self._savepoint = OperationSavepoint.NONE

    @property
    def socket_descriptor(self) -> int:
        return int(self.driver_connection.fileno())

    @property
    def is_closed(self) -> bool:
        return bool(self.driver_connection.closed)

    def send_cancel(self, timeout_s: float) -> None:
        with storage_errors_alone(self.dialect.to_storage_error):
            self.driver_connection.cancel_safe(timeout=timeout_s)

    def begin_transaction(self, *, writes: bool, max_statement_s: float = math.inf) -> None:
        self._savepoint = OperationSavepoint.NONE
        self.command(_WRITING if writes else _READING)
        if not self._settings.has_own_sessions:
            set_transaction(self, self._settings)
        if max_statement_s < self._statement_limit_s:
            limit_statements(self, max_statement_s)

    def prepare_commit(self) -> InDoubtTransaction | None:
        return identify(self)

    def prepare_session(self) -> None:
        """Set the session, and from then on wait for answers as long as statements may run."""
        if self._settings.has_own_sessions:
            set_session(self, self._settings, self.driver_connection.info.server_version)
        if self._settings.statement_timeout is None:
            row = self.row(_STATEMENT_TIMEOUT_MS)
            self._statement_limit_s = row[0] / 1000 if row and row[0] else math.inf
        self._limit_answers(math.inf)

    def use_settings(self, settings: Settings) -> None:
        """Switch to other settings of the same database."""
        if settings != self._settings:
            self._settings = settings
            self.dialect = PostgreSQLDialect(settings.place, settings.schema)
            self.prepare_session()

    def _run_commands(self, *commands: str) -> None:
        """Run commands that return nothing, in one round trip."""
        self.answered(self._try_commands, commands)

    def _try_commands(self, commands: Sequence[str]) -> None:
        try:
            run_commands(self.driver_connection, commands)
        except Exception as error:
            raise self.to_storage_error(error) from error

    def open_savepoint(self, name: str) -> None:
        """Open a savepoint in the open transaction, between two operations."""
        self._release_and(f"SAVEPOINT {name}")
        self._savepoint = OperationSavepoint.NONE

    def close_savepoint(self, name: str, *, undo: bool) -> None:
        """Close a savepoint, between two operations; with it ends that of the last operation, which is inside it."""
        super().close_savepoint(name, undo=undo)
        self._savepoint = OperationSavepoint.NONE

    def begin_operation(self) -> None:
        """Begin an operation that may be undone alone."""
        if self._savepoint is not OperationSavepoint.UNUSED:
            self._release_and(f"SAVEPOINT {self.operation_savepoint}")
        self._savepoint = OperationSavepoint.USED

    def keep_operation(self) -> None:
        """End the operation; what it did stays. Its savepoint is released later."""

    def undo_operation(self) -> None:
        """End the operation, and undo what it did."""
        self.command(f"ROLLBACK TO {self.operation_savepoint}")
        self._savepoint = OperationSavepoint.UNUSED

    def _release_and(self, command: str) -> None:
        """Release the savepoint of the last operation, if there is one, and run the command."""
        if self._savepoint is OperationSavepoint.NONE:
            self._run_commands(command)
        else:
            self._run_commands(f"RELEASE {self.operation_savepoint}", command)

    def pipeline_rows(self, selects: Iterable[tuple[Any, Parameters]]) -> list[list[Row]]:
        """Send several selects in one pipeline; return the rows of each. If one fails, the connection is closed.

        It cannot be used after that, since psycopg counts statements as prepared that the server skipped.
        """
        try:
            return self.answered(self._try_pipeline, selects)
        except Exception:
            self.close()
            raise

    def _try_pipeline(self, selects: Iterable[tuple[Any, Parameters]]) -> list[list[Row]]:
        sent = []
        try:
            with self.driver_connection.pipeline():
                for select, parameters in selects:
                    compiled = self.dialect.compile(select)
                    cursor = self.driver_connection.execute(compiled.text, compiled.bind(parameters))
                    sent.append((compiled, cursor))
            return [[compiled.convert(row) for row in cursor] for compiled, cursor in sent]
        except StorageError:
            raise
        except Exception as error:
            raise self._unread(error) from error
