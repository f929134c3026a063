"""`StoreMaintenance`: what only a backend can tell of a store, or do with it, for the tools of operators."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from os import PathLike
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from aaow_storage.errors import NotOfferedError

StepCallback = Callable[[int, int | None], None]
"""Called with how many bytes are done and how many there are, None if that is not known; from any thread."""


def _own(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


@frozen(kw_only=True)
class TableSize:
    """How much a table takes on the disk.

    Attributes:
        name: the table, as the store names it.
        table_bytes: its rows, without indexes.
        index_bytes: all of its indexes.
    """

    name: str
    table_bytes: int
    index_bytes: int


@frozen(kw_only=True)
class StoreSizes:
    """How much a store takes on the disk, or in memory.

    Attributes:
        total_bytes: all of it, with what is free inside.
        free_bytes: what was deleted and will be used again, None if that is not known.
        tables: the tables, the largest first; empty if the store cannot tell.
    """

    total_bytes: int
    free_bytes: int | None = None
    tables: tuple[TableSize, ...] = ()


@frozen(kw_only=True)
class Durability:
    """What a commit survives.

    Attributes:
        settings: the settings that decide it, as text by name.
        warnings: what may lose a commit, a sentence each, with what to do.
    """

    settings: Mapping[str, str] = field(converter=_own)
    warnings: tuple[str, ...] = ()


@frozen(kw_only=True)
class SchemaStatus:
    """Which schema a store has, and which one the installed release needs.

    Attributes:
        found: the version of the store, None if it has no schema yet.
        expected: the version that the release needs.
        pending: the steps of an upgrade that are due, a line each, oldest first.
        is_newer: whether a later release made the store, so that this one cannot use it.
    """

    found: str | None
    expected: str
    pending: tuple[str, ...] = ()
    is_newer: bool = False

    @property
    def is_current(self) -> bool:
        """Whether the store can be used as it is."""
        return self.found == self.expected


@frozen(kw_only=True)
class MaintenanceFinding:
    """Something wrong with a store or a backup.

    Attributes:
        problem: what is wrong.
        place: where: a table, a page, a file.
        remedy: what to do.
    """

    problem: str
    place: str
    remedy: str


@frozen(kw_only=True)
class BackupContent:
    """What is in a backup that a backend made.

    Attributes:
        format: the name of its format, such as `"sqlite"`.
        schema_version: the version of the schema of the store in it, None if it cannot be read.
        rows: how many rows each table has, as of the backup.
        findings: what is wrong with it.
    """

    format: str
    schema_version: str | None
    rows: Mapping[str, int] = field(factory=dict, converter=_own)
    findings: tuple[MaintenanceFinding, ...] = ()


class StoreMaintenance(ABC):
    """What only a backend knows of one store: sizes, durability, schema, backups, integrity, space.

    A backend offers it by `Backend.maintenance`, and overrides what it can do; the rest raises `NotOfferedError`.
    `maintenance_of` makes one. It is not opened or closed: each method opens what it needs, and nothing stays open.
    No method creates a store, except `restore`. A method may take long. If its task is cancelled, it ends soon, and
    has done nothing, or all.
    """

    @property
    @abstractmethod
    def place(self) -> str:
        """The name of the store for messages, without a password."""

    async def exists(self) -> bool:
        """Return whether there is a store; one without a schema, such as an empty file or database, is none.

        Raises:
            StorageUnavailableError: the place of the store cannot be reached.
        """
        raise self._not_offered("exists")

    async def sizes(self) -> StoreSizes:
        """Return how much the store and its tables take."""
        raise self._not_offered("sizes")

    async def durability(self) -> Durability:
        """Return the settings that decide what a commit survives, and warnings."""
        raise self._not_offered("durability")

    async def schema_status(self) -> SchemaStatus:
        """Return which schema the store has; it is not changed."""
        raise self._not_offered("schema_status")

    async def plan_upgrade(self) -> str:
        """Return the statements that an upgrade would run, as text for people; empty if none is due. Runs none.

        Raises:
            SchemaVersionError: a later release made the store.
        """
        raise self._not_offered("plan_upgrade")

    async def copy_before_upgrade(self) -> str | None:
        """Copy the store to where its backend keeps such copies, and return where; None if it has no place for that.

        The copy is complete and on the disk when this returns.
        """
        return None

    async def backup(self, path: str | PathLike[str], progress: StepCallback | None = None) -> BackupContent:
        """Write a backup of the store, as of one instant, into a new file, while others may go on writing.

        It has everything that was acknowledged before the call. The file appears whole or not at all.

        Raises:
            ConflictError: there is a file; nothing is written over.
            NotOfferedError: the backend has no such format, or lacks a program for it.
        """
        raise self._not_offered("backup")

    async def restore(
        self, path: str | PathLike[str], progress: StepCallback | None = None, *, replace: bool = False
    ) -> BackupContent:
        """Put the content of a backup in the place of the store: all of it, or nothing.

        Args:
            path: the file that `backup` made.
            progress: told what is done.
            replace: whether a store that is there is replaced. Nobody may have it open.

        Raises:
            ConflictError: there is something already, and `replace` is False.
            StoreBusyError: the store that would be replaced is in use.
            CorruptDataError: the backup cannot be read.
        """
        raise self._not_offered("restore")

    async def verify(self, path: str | PathLike[str], progress: StepCallback | None = None) -> BackupContent:
        """Read a backup, and return what is in it, with what is wrong with it. The file is not changed.

        It needs no store: an object for any place can verify the backups of its backend.
        """
        raise self._not_offered("verify")

    async def check_integrity(self) -> tuple[MaintenanceFinding, ...]:
        """Let the database check itself; return what it finds, nothing if all is well. Changes nothing."""
        raise self._not_offered("check_integrity")

    async def reclaim_space(self) -> int:
        """Give the space of deleted records back; return how many bytes smaller the store is. Writers may wait."""
        raise self._not_offered("reclaim_space")

    def _not_offered(self, operation: str, reason: str = "") -> NotOfferedError:
        """Return the error that this backend does not offer an operation."""
        return NotOfferedError(operation, self.place, reason)
