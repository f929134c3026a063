"""PostgreSQL as the threads of an adapter use it."""

from collections.abc import Sequence
from typing import ClassVar

from attrs import field, frozen

from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._durability import report_durability
from aaow_storage_postgresql._feed import set_recording
from aaow_storage_postgresql._indexes import build_indexes
from aaow_storage_postgresql._pipelined_reads import fetch_pipelined
from aaow_storage_postgresql._search_path import resolve_schema
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import VERSION, upgrade
from aaow_storage_sql import (
    Opening,
    Outcome,
    PointRead,
    PreparedStore,
    Server,
    ServerConnection,
    Watchdog,
    open_connection,
)


@frozen(eq=False)
class PostgreSQLServer(Server):
    """The database that the settings name."""

    name: ClassVar[str] = "postgresql"
    settings: Settings
    dialect: PostgreSQLDialect = field(init=False)

    @dialect.default
    def _make_dialect(self) -> PostgreSQLDialect:
        return PostgreSQLDialect(self.settings.place, self.settings.schema)

    @property
    def max_reads_together(self) -> int:
        return self.settings.tuning.max_pipelined_reads

    @property
    def may_autocommit(self) -> bool:
        return self.settings.has_own_sessions

    def connect(self, watchdog: Watchdog | None = None) -> PostgreSQLConnection:
        return connect(self.settings, watchdog)

    def prepare(self, opening: Opening, watchdog: Watchdog, *, migrate: bool) -> PreparedStore:
        """Open the store in the schema that holds it, or will hold it."""
        with open_connection(lambda: self.connect(watchdog), opening) as connection:
            settings = resolve_schema(self.settings, connection)
            connection.use_settings(settings)
            upgrade(connection, settings, migrate=migrate, opening=opening)
            if migrate:
                build_indexes(connection, settings, opening)
            records = set_recording(connection, settings)
            report_durability(connection, settings)
        return PreparedStore(PostgreSQLServer(settings), records)

    def version(self, connection: ServerConnection) -> str | None:
        row = connection.row(VERSION)
        return None if row is None else str(row[0])

    def read_together(self, reads: Sequence[PointRead], connection: ServerConnection) -> list[Outcome] | None:
        assert isinstance(connection, PostgreSQLConnection)  # noqa: S101 - `connect` opened it
        return fetch_pipelined(reads, connection)
