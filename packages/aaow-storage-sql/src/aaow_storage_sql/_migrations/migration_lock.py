"""The lock that keeps processes from migrating a store in steps at the same time.

All steps may run again, so a lock that fails costs time alone: its holder may go on after its lease has run out.
"""

import secrets
from abc import ABC, abstractmethod

import sqlalchemy as sa

from aaow_storage.errors import StorageError
from aaow_storage_sql._migrations.steps import Step
from aaow_storage_sql._migrations.table_steps import creating_table
from aaow_storage_sql._schema.families import COUNT, NAME
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._tuning import DEFAULT


class LostLockError(StorageError):
    """Another process took the lock over."""


class MigrationLock(ABC):
    """A lock that one process has at a time."""

    @abstractmethod
    def take(self) -> bool:
        """Take the lock, without waiting; return False if another process has it."""

    @abstractmethod
    def renew(self) -> None:
        """Keep the lock, between two steps.

        Raises:
            LostLockError: another process has taken it over.
        """

    @abstractmethod
    def release(self) -> None:
        """Let another process take the lock. An error is for the caller to ignore."""


_table = sa.Table(
    "aaow_migration_lock",
    sa.MetaData(),
    sa.Column("id", COUNT, primary_key=True, autoincrement=False),
    sa.Column("owner", NAME, nullable=False),
    sa.Column("expires_at", COUNT, nullable=False),
)
_OWNER = sa.bindparam("me", type_=sa.Text)
_SECOND = 10**6


class RowLease(MigrationLock):
    """A row that names the owner of the lock, and when its lease ends by the clock of the server."""

    def __init__(self, connection: SQLConnection, lease_s: float = DEFAULT.migration_lease_s) -> None:
        self._connection = connection
        self._owner = secrets.token_hex(8)
        now: sa.ColumnElement[int] = sa.literal_column(connection.dialect.clock)
        lease: sa.ColumnElement[int] = sa.literal_column(str(round(lease_s * _SECOND)))
        is_free = sa.or_(_table.c.owner == sa.literal_column("''"), _table.c.expires_at < now)
        self._take = sa.update(_table).where(is_free).values(owner=_OWNER, expires_at=now + lease)
        self._renew = sa.update(_table).where(_table.c.owner == _OWNER).values(expires_at=now + lease)
        self._is_there = False

    def take(self) -> bool:
        if not self._is_there:
            self._make_row()
        return self._changes(self._take)

    def renew(self) -> None:
        if not self._changes(self._renew):
            raise LostLockError("another process has taken over the migration of the store")

    def release(self) -> None:
        self._connection.command(
            f"UPDATE {_table.name} SET owner = '', expires_at = 0 WHERE owner = '{self._owner}'"  # noqa: S608 - names of ours
        )

    def _make_row(self) -> None:
        for step in creating_table(_table, self._connection.dialect.sqlalchemy_dialect):
            step.run(self._connection)
        has_row = f"SELECT 1 FROM {_table.name}"  # noqa: S608 - as above
        Step(f"INSERT INTO {_table.name} (id, owner, expires_at) VALUES (1, '', 0)", has_row).run(self._connection)  # noqa: S608 - as above
        self._is_there = True

    def _changes(self, statement: "sa.Update") -> bool:
        """Run a statement on the row; say whether it was the one that changed it."""
        try:
            return self._connection.run(statement, {"me": self._owner}) == 1
        except StorageError as error:
            if self._connection.dialect.aborts_transaction(error):
                return False
            raise
