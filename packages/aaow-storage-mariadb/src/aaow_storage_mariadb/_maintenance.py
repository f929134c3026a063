"""The maintenance of a store in MariaDB. Its backups are exports: the server's own are of whole servers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aaow_storage.authoring import Durability, MaintenanceFinding, SchemaStatus, StoreSizes
from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._inspection import check_tables, durability_of, opened, rebuild_tables, sizes_of
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb._upgrade import OWN_TABLES
from aaow_storage_sql import Opening, RecordMaintenance, plan_steps, schema_status_of, stored_version

T = TypeVar("T")

_NO_SUCH_DATABASE = 1049


class MariaDBMaintenance(RecordMaintenance):
    """The maintenance of the store that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        return self._settings.place

    async def exists(self) -> bool:
        return await self.run(self._exists)

    def _exists(self, opening: Opening) -> bool:
        try:
            with opened(self._settings, opening) as connection:
                return stored_version(connection) is not None
        except SchemaVersionError:  # tables of another application
            return False
        except StorageError as error:
            if getattr(error.__cause__, "args", (None,))[0] == _NO_SUCH_DATABASE:
                return False
            raise

    async def sizes(self) -> StoreSizes:
        return await self._with_connection(sizes_of)

    async def durability(self) -> Durability:
        return await self._with_connection(durability_of)

    async def schema_status(self) -> SchemaStatus:
        return await self._with_connection(_schema_status)

    async def plan_upgrade(self) -> str:
        return await self._with_connection(lambda connection: plan_steps(connection, OWN_TABLES))

    async def check_integrity(self) -> tuple[MaintenanceFinding, ...]:
        return await self._with_connection(lambda connection: (*check_tables(connection, self.place),))

    async def reclaim_space(self) -> int:
        return await self._with_connection(rebuild_tables)

    @contextmanager
    def reading_rows(self, opening: Opening) -> Iterator[MariaDBConnection]:
        with opened(self._settings, opening) as connection:
            yield connection

    @contextmanager
    def changing_rows(self, opening: Opening) -> Iterator[MariaDBConnection]:
        with opened(self._settings, opening) as connection:
            connection.begin_writing()
            yield connection
            connection.commit()

    async def _with_connection(self, function: Callable[[MariaDBConnection], T]) -> T:
        def call(opening: Opening) -> T:
            with opened(self._settings, opening) as connection:
                return function(connection)

        return await self.run(call)


def _schema_status(connection: MariaDBConnection) -> SchemaStatus:
    return schema_status_of(stored_version(connection), is_made_whole=True)
