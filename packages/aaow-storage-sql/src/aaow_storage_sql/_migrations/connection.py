"""What alembic's operations get in the place of SQLAlchemy's Connection."""

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from aaow_storage_sql._statements.connection import SQLConnection

if TYPE_CHECKING:
    from alembic.operations import Operations


class OperationsConnection:
    """Runs the statements of operations on the store's own connection, which translates the driver's errors.

    There is no engine: listeners that a program has on all engines get nothing of this connection.
    """

    def __init__(self, connection: SQLConnection) -> None:
        self.connection = connection

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect that the operations' statements are compiled for."""
        return self.connection.dialect.sqlalchemy_dialect

    def in_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self.connection.is_in_transaction

    def execute(self, statement: Any, parameters: Any = None) -> None:
        """Run what changes the schema.

        Raises:
            StorageError: it fails.
        """
        del parameters  # a statement on the schema has none
        self.connection.command(str(statement.compile(dialect=self.dialect)))


def connection_of(op: "Operations") -> SQLConnection:
    """Return the store's own connection, for what the operations have no method for."""
    return cast("OperationsConnection", op.get_bind()).connection
