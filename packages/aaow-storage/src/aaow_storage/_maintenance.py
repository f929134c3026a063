"""`StoreMaintenance`: what only a backend can tell of a store, or do with it, for the tools of operators."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import Any

from attrs import Factory, field, frozen

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
class RecordFinding(MaintenanceFinding):
    """Something wrong with a record, or with what no operation shows of it.

    Attributes:
        code: what is wrong, as one of the words that `StoreMaintenance.check_records` names.
        kind: the kind of the record, such as `"session"`; None if it is not one record.
        id: its id, or that of what is no record; None if nobody can say.
        is_repairable: whether it can be repaired without losing anything.
        is_repaired: whether it was.
    """

    code: str
    kind: str | None
    id: str | None
    is_repairable: bool = False
    is_repaired: bool = False


@frozen(kw_only=True)
class SessionSize:
    """How much a session has, and what belongs to it.

    Attributes:
        counts: how many records of each kind, the session itself included; kinds of which there are none are missing.
        rows: how many rows they are in the store; by default, the number of records.
        stored_bytes: about how much these rows take, without indexes, and without what other sessions share; None if
            the backend cannot tell.
    """

    counts: Mapping[str, int] = field(converter=_own)
    rows: int = field(default=Factory(lambda self: sum(self.counts.values()), takes_self=True))
    stored_bytes: int | None = None


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

    async def check_records(self, *, repair: bool = False) -> AsyncIterator[RecordFinding]:
        """Yield what is wrong with what is stored of records, and what no operation shows; nothing if all is well.

        These are the words in `code`: `document-missing` and `document-damaged` for a document or message that a record
        needs, `document-unused` for one that no record needs, `unreadable` for a value that lists leave out,
        `reference-dangling` for rows that belong to a record that is not stored, `index-wrong` and `sequence-wrong` for
        what is derived from records and differs, `store-damaged` for anything else.

        Args:
            repair: whether to repair what can be repaired without losing anything, before it is yielded.
        """
        raise self._not_offered("check_records")
        yield  # which makes it a generator

    async def delete_unused_documents(self) -> int:
        """Delete the documents that no record needs, which a deletion may leave beside others; return how many."""
        raise self._not_offered("delete_unused_documents")

    async def measure_sessions(self, session_ids: Sequence[str]) -> Mapping[str, SessionSize]:
        """Return how much each of those sessions has; one that is not stored has nothing."""
        raise self._not_offered("measure_sessions")

    async def trim_session(self, session_id: str, limit: int) -> int:
        """Delete at most so many rows of what belongs to a session, in one short transaction; return how many.

        It is for a session that will be deleted, and has so much that others would wait for that. Its tool calls, LLM
        executions and stream events go, and the session stays. If fewer rows than `limit` went, nothing of these is
        left. The change feed does not name them.
        """
        raise self._not_offered("trim_session")

    def _not_offered(self, operation: str, reason: str = "") -> NotOfferedError:
        """Return the error that this backend does not offer an operation."""
        return NotOfferedError(operation, self.place, reason)
