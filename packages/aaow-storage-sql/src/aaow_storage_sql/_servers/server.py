"""What the threads of an adapter need from a backend of a server: an author of one begins here."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from attrs import frozen

from aaow_storage_sql._schema.revisions import VERSION_TABLE
from aaow_storage_sql._servers.connection import ServerConnection
from aaow_storage_sql._servers.deadlines import Watchdog
from aaow_storage_sql._servers.dialect import ServerDialect
from aaow_storage_sql._servers.point_reads import PointRead
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._threads.job import Job, Outcome
from aaow_storage_sql._threads.opening import Opening

_VERSION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a name of ours


@frozen(eq=False)
class PreparedStore:
    """A store whose schema is that of this release.

    Attributes:
        server: the server, with whatever was found out about the store, such as the schema that holds it.
        records_changes: whether the store records its changes.
    """

    server: "Server"
    records_changes: bool


class Server(ABC):
    """A database on a server, as one adapter uses it: how to connect, and how to open a store in it.

    Each thread of the adapter's pools has one connection. It sends an operation that writes in a transaction of its own
    and repeats it if `SUCCEEDS_IF_REPEATED` has the meaning of its error, or if the connection is lost before COMMIT.
    It sends a point read alone, without a transaction, and any other read in one that sees a single snapshot.

    Several threads use a server at once; it holds nothing that changes.
    """

    name: ClassVar[str]
    """The name of the backend, which the names of its threads have."""

    @property
    @abstractmethod
    def settings(self) -> ServerSettings:
        """The options of the adapter."""

    @property
    @abstractmethod
    def dialect(self) -> ServerDialect:
        """The dialect of all connections; its `meaning` tells what an error is."""

    @property
    def max_reads_together(self) -> int:
        """How many point reads are passed to `read_together` at most; 1 if each is sent alone."""
        return 1

    @property
    def max_saves_together(self) -> int:
        """How many rows are passed to `save_together` at most; 1 if each is saved alone."""
        return 1

    @property
    def may_autocommit(self) -> bool:
        """Whether an idempotent operation of a single statement may be sent without BEGIN and COMMIT.

        It may if a statement outside a transaction is committed by itself, with the settings of the session. A
        connection that stores changes before COMMIT never does so.
        """
        return True

    @abstractmethod
    def connect(self, watchdog: Watchdog | None = None) -> ServerConnection:
        """Open a connection, check that the server can be used, and set the session.

        The session must not depend on what the server, the database or the user have as their defaults: its time zone,
        its encoding, its SQL mode, its time-outs. Waiting for the server to accept takes `connect_timeout` at most.
        Pass the watchdog to the connection: it ends waits for later answers.

        Raises:
            StorageUnavailableError: the server does not answer, or cannot serve now. If it has no free connection,
                the meaning of the error is `TOO_MANY_CONNECTIONS`.
            StorageError: the server refuses the login, or cannot be used; the error says what to change.
        """

    @abstractmethod
    def prepare(self, opening: Opening, watchdog: Watchdog, *, migrate: bool) -> PreparedStore:
        """Open the store: upgrade its schema if that is due and `migrate` is True, begin or end to record changes.

        Where changes of the schema can be rolled back, that is one transaction of `migrate_to`; elsewhere the steps of
        `upgrade_in_steps`. Where connections record changes, `set_recording` does that.

        Use `open_connection` for its connections, so that a cancelled `initialize` ends their waits.

        Raises:
            SchemaVersionError: the store is newer than this release, or older and `migrate` is False, or another
                application's.
            StorageError: the store cannot be opened or upgraded.
            asyncio.CancelledError: the opening was cancelled.
        """

    def version(self, connection: ServerConnection) -> str | None:
        """Return the revision of the store, in one quick statement; None if there is none.

        Each thread asks for it now and then, since another process may migrate the store while it is open here.
        """
        row = connection.command(_VERSION)
        return None if row is None else str(row[0])

    def read_together(self, reads: Sequence[PointRead], connection: ServerConnection) -> list[Outcome] | None:
        """Claim the jobs of several point reads and answer them, in fewer round trips than one for each.

        Return the outcomes of those that were claimed; None if each has to be read alone, with no job claimed. Inside
        `connection.interruptible_by` the statements end once all of the tasks are cancelled.
        """
        del reads, connection
        return None

    def save_together(self, jobs: Sequence[Job[Any]], connection: ServerConnection) -> list[Outcome]:
        """Run claimed jobs, each of which saves one row, in one transaction that waits for no lock.

        Inside `connection.interruptible_by` the statements end once all of the tasks are cancelled.

        Raises:
            StorageError: nothing was stored, or the connection is lost. Each job may be run alone.
        """
        raise NotImplementedError
