"""The maintenance of a store in a SQLite file."""

import functools
import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import Any

from aaow_storage import now
from aaow_storage.authoring import (
    BackupContent,
    Durability,
    MaintenanceFinding,
    RecordFinding,
    SchemaStatus,
    StepCallback,
    StoreSizes,
    storage_errors_alone,
)
from aaow_storage_sql import (
    HEAD,
    Opening,
    PlanningConnection,
    RecordMaintenance,
    plan_upgrade,
    schema_status_of,
)
from aaow_storage_sqlite._backups import back_up, restore, verify
from aaow_storage_sqlite._connections import SQLiteConnection, connect, open_writer, without_creating
from aaow_storage_sqlite._index_repair import changing, rebuild_indexes, wrong_indexes
from aaow_storage_sqlite._inspection import (
    check_pages,
    durability_of,
    integer,
    path_of,
    reading,
    sizes_of,
)
from aaow_storage_sqlite._retry import retry_while_locked
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._upgrade import check_version, version


class SQLiteMaintenance(RecordMaintenance):
    """The maintenance of the store that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        return str(self._settings.location)

    async def exists(self) -> bool:
        return await self.run(self._exists)

    def _exists(self, opening: Opening) -> bool:
        path = self._settings.location.path
        if path is None or not path.exists():
            return False
        with reading(self._settings, opening) as connection:
            return version(connection) is not None

    async def sizes(self) -> StoreSizes:
        return await self.run(self._sizes)

    def _sizes(self, opening: Opening) -> StoreSizes:
        with reading(self._settings, opening) as connection:
            return sizes_of(connection, path_of(self._settings))

    async def durability(self) -> Durability:
        return await self.run(self._durability)

    def _durability(self, opening: Opening) -> Durability:
        with reading(self._settings, opening) as connection:
            return durability_of(connection, path_of(self._settings), self._settings)

    async def schema_status(self) -> SchemaStatus:
        return await self.run(self._schema_status)

    def _schema_status(self, opening: Opening) -> SchemaStatus:
        with reading(self._settings, opening) as connection:
            return schema_status_of(version(connection))

    async def plan_upgrade(self) -> str:
        return await self.run(self._plan_upgrade)

    def _plan_upgrade(self, opening: Opening) -> str:
        with reading(self._settings, opening) as connection:
            found = version(connection)
            rows = connection.driver_connection.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite^_%' ESCAPE '^' "
                "ORDER BY rowid"
            )
            with storage_errors_alone(connection.dialect.to_storage_error):
                schema = [text for (text,) in rows]
        scratch = connect(self._settings, "file::memory:")
        try:
            for text in schema:
                scratch.command(text)
            return plan_upgrade(PlanningConnection(scratch, functools.partial(_run_on, scratch)), found)
        finally:
            scratch.close()

    async def copy_before_upgrade(self) -> str:
        return await self.run(self._copy_before_upgrade)

    def _copy_before_upgrade(self, opening: Opening) -> str:
        path = path_of(self._settings)
        wanted = path.with_name(f"{path.name}.before-{HEAD}-{now():%Y%m%dT%H%M%S}")
        names = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
        target = next(each for each in itertools.chain([wanted], names) if not each.exists())
        back_up(self._settings, target, None, opening)
        return str(target)

    async def backup(self, path: str | PathLike[str], progress: StepCallback | None = None) -> BackupContent:
        return await self.run(functools.partial(back_up, self._settings, Path(path), progress))

    async def restore(
        self, path: str | PathLike[str], progress: StepCallback | None = None, *, replace: bool = False
    ) -> BackupContent:
        return await self.run(functools.partial(restore, self._settings, Path(path), progress, replace=replace))

    async def verify(self, path: str | PathLike[str], progress: StepCallback | None = None) -> BackupContent:
        return await self.run(functools.partial(verify, self._settings, Path(path), progress))

    async def check_integrity(self) -> tuple[MaintenanceFinding, ...]:
        return await self.run(self._check_integrity)

    def _check_integrity(self, opening: Opening) -> tuple[MaintenanceFinding, ...]:
        with reading(self._settings, opening) as connection:
            return check_pages(connection, self.place)

    def reading_rows(self, opening: Opening) -> AbstractContextManager[SQLiteConnection]:
        return reading(self._settings, opening)

    def changing_rows(self, opening: Opening) -> AbstractContextManager[SQLiteConnection]:
        return changing(self._settings, opening)

    async def check_records(self, *, repair: bool = False) -> AsyncIterator[RecordFinding]:
        for finding in await self.run(functools.partial(self._check_indexes, repair=repair)):
            yield finding
        async for finding in super().check_records(repair=repair):
            yield finding

    def _check_indexes(self, opening: Opening, *, repair: bool) -> list[RecordFinding]:
        with reading(self._settings, opening) as connection:
            found = wrong_indexes(connection, self.place)
        if not repair or not found:
            return found
        with changing(self._settings, opening) as connection:
            return rebuild_indexes(connection, found)

    async def reclaim_space(self) -> int:
        return await self.run(self._reclaim_space)

    def _reclaim_space(self, opening: Opening) -> int:
        path_of(self._settings)
        settings = without_creating(self._settings)
        connection = open_writer(settings, opening, functools.partial(check_version, migrate=False))
        try:
            before = _file_bytes(connection)
            for command in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                retry_while_locked(functools.partial(connection.command, command), settings.busy_timeout, opening)
            return before - _file_bytes(connection)
        finally:
            connection.close()


def _run_on(scratch: SQLiteConnection, text: str) -> Any:
    """Run a statement of a plan on an empty copy of the schema."""
    with storage_errors_alone(scratch.dialect.to_storage_error):
        return scratch.driver_connection.execute(text)


def _file_bytes(connection: SQLiteConnection) -> int:
    return integer(connection, "PRAGMA page_count") * integer(connection, "PRAGMA page_size")
