"""MariaDB as the threads of an adapter use it."""

from collections.abc import Sequence
from typing import Any, ClassVar

from attrs import evolve, field, frozen

from aaow_storage_mariadb._connect import connect
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._dialect import MariaDBDialect
from aaow_storage_mariadb._drivers.choice import driver_named
from aaow_storage_mariadb._feed_statements import VERSION_AND_FEED
from aaow_storage_mariadb._hosts import Hosts
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb._upgrade import upgrade
from aaow_storage_sql import (
    Job,
    Opening,
    Outcome,
    PreparedStore,
    Server,
    ServerConnection,
    Watchdog,
    open_connection,
    set_recording,
)

_MAX_SAVES = 32
"""More at once would save less: the flush that they share is a small part of them then."""


@frozen(eq=False)
class MariaDBServer(Server):
    """The database that the settings name."""

    name: ClassVar[str] = "mariadb"
    settings: Settings
    _records: bool = False
    dialect: MariaDBDialect = field()
    hosts: Hosts = field()
    """Shared by the server of an open store with the one that opened it."""

    @dialect.default
    def _make_dialect(self) -> MariaDBDialect:
        return driver_named(self.settings.driver).dialect(self.settings.place)

    @hosts.default
    def _make_hosts(self) -> Hosts:
        return Hosts(self.settings.location.hosts)

    def connect(self, watchdog: Watchdog | None = None) -> MariaDBConnection:
        connection = connect(self.settings, self.hosts, watchdog)
        connection.is_known_to_record = self._records
        return connection

    def prepare(self, opening: Opening, watchdog: Watchdog, *, migrate: bool) -> PreparedStore:
        with open_connection(lambda: self.connect(watchdog), opening) as connection:
            upgrade(connection, self.settings, migrate=migrate, opening=opening)
            records = set_recording(connection, self.settings)
        return PreparedStore(evolve(self, records=records), records)

    @property
    def max_saves_together(self) -> int:
        return _MAX_SAVES

    def save_together(self, jobs: Sequence[Job[Any]], connection: ServerConnection) -> list[Outcome]:
        assert isinstance(connection, MariaDBConnection)  # noqa: S101 - `connect` opened it
        return connection.save_together(jobs)

    def version(self, connection: ServerConnection) -> str | None:
        row = connection.row(VERSION_AND_FEED)
        if row is None:
            return None
        connection.is_known_to_record = bool(row[1])
        return str(row[0])
