"""The maintenance of a store in PostgreSQL."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from psycopg import errors as pg
from psycopg import sql

from aaow_storage.authoring import (
    BackupContent,
    Durability,
    MaintenanceFinding,
    SchemaStatus,
    StepCallback,
    StoreSizes,
    storage_errors_alone,
)
from aaow_storage.errors import SchemaVersionError, StorageError
from aaow_storage_postgresql import _catalog as catalog
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._dumps import back_up, verify
from aaow_storage_postgresql._indexes import planned_indexes
from aaow_storage_postgresql._inspection import check_store, durability_of, execute, opened, sizes_of, tables_of
from aaow_storage_postgresql._restoring import restore
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import version
from aaow_storage_sql import (
    Nothing,
    Opening,
    PlanningConnection,
    RecordMaintenance,
    plan_upgrade,
    schema_status_of,
)

T = TypeVar("T")

_IS_RECORDING = "SELECT is_recording FROM "
_QUESTIONS = ("SELECT 1 FROM ", _IS_RECORDING)
"""How the queries begin whose answers decide what a migration does; others look for what would stop it."""


class PostgreSQLMaintenance(RecordMaintenance):
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
            with opened(self._settings, opening) as (connection, settings):
                return version(connection, settings) is not None
        except SchemaVersionError:  # tables of another application
            return False
        except StorageError as error:
            if isinstance(error.__cause__, pg.InvalidCatalogName) or "does not exist" in str(error.__cause__):
                return False
            raise

    async def sizes(self) -> StoreSizes:
        return await self._with_connection(sizes_of)

    async def durability(self) -> Durability:
        return await self._with_connection(durability_of)

    async def check_integrity(self) -> tuple[MaintenanceFinding, ...]:
        return await self._with_connection(check_store)

    @contextmanager
    def reading_rows(self, opening: Opening) -> Iterator[PostgreSQLConnection]:
        with opened(self._settings, opening) as (connection, _):
            yield connection

    @contextmanager
    def changing_rows(self, opening: Opening) -> Iterator[PostgreSQLConnection]:
        with opened(self._settings, opening) as (connection, _):
            connection.begin_writing()
            yield connection
            connection.commit()

    async def schema_status(self) -> SchemaStatus:
        return await self._with_connection(lambda connection, settings: schema_status_of(version(connection, settings)))

    async def plan_upgrade(self) -> str:
        return await self._with_connection(_plan)

    async def reclaim_space(self) -> int:
        return await self._with_connection(_reclaim_space)

    async def backup(self, path: str | PathLike[str], progress: StepCallback | None = None) -> BackupContent:
        return await self.run(functools.partial(back_up, self._settings, Path(path), progress))

    async def restore(
        self, path: str | PathLike[str], progress: StepCallback | None = None, *, replace: bool = False
    ) -> BackupContent:
        return await self.run(functools.partial(restore, self._settings, Path(path), progress, replace=replace))

    async def verify(self, path: str | PathLike[str], progress: StepCallback | None = None) -> BackupContent:
        return await self.run(functools.partial(verify, self._settings, Path(path), progress))

    async def _with_connection(self, function: Callable[[PostgreSQLConnection, Settings], T]) -> T:
        def call(opening: Opening) -> T:
            with opened(self._settings, opening) as (connection, settings):
                return function(connection, settings)

        return await self.run(call)


def _plan(connection: PostgreSQLConnection, settings: Settings) -> str:
    """Return the statements of an upgrade; a migration asks the store what decides its way, and changes nothing."""

    def answer(text: str) -> Any:
        if not text.startswith(_QUESTIONS):
            return Nothing()
        connection.begin_writing()  # which sets the search path, on a connection of a pooler too
        try:
            return connection.driver_connection.execute(text)
        except (pg.UndefinedTable, pg.UndefinedColumn):  # the upgrade makes it: no rows, or a feed that records
            connection.command("ROLLBACK AND CHAIN")
            return connection.driver_connection.execute("SELECT true") if text.startswith(_IS_RECORDING) else Nothing()
        finally:
            connection.command("ROLLBACK")

    found = version(connection, settings)
    with storage_errors_alone(connection.dialect.to_storage_error):
        plan = plan_upgrade(PlanningConnection(connection, answer), found)
    later = planned_indexes(connection, settings, plan)
    if plan:
        plan = f"SET LOCAL search_path = {catalog.quote(str(settings.schema))};\n\n{plan}"
    if later:
        plan += "\n".join(["", "", "-- afterwards, without blocking writes", *later])
    return plan


def _reclaim_space(connection: PostgreSQLConnection, settings: Settings) -> int:
    """Vacuum the tables: what is free at their ends goes back to the system, the rest is used again."""
    before = sizes_of(connection, settings).total_bytes
    for name in tables_of(connection, settings):
        table = sql.Identifier(str(settings.schema), name)
        execute(connection, sql.SQL("VACUUM (ANALYZE) {}").format(table))
    return before - sizes_of(connection, settings).total_bytes
