"""The connection of alembic's operations, in the place of SQLAlchemy's Connection."""

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from aaow_storage_sql._statements.connection import SQLConnection

if TYPE_CHECKING:
    from alembic.operations import Operations


class OperationsConnection:
    """Runs the statements of alembic's operations on the store's own connection, which translates driver errors.

    There is no engine, so that the program's listeners on engines see nothing of this connection.
    """

    def __init__(self, connection: SQLConnection) -> None:
        self.connection = connection

    @property
    def dialect(self) -> sa.Dialect:
        """The dialect that compiles the statements."""
        return self.connection.dialect.sqlalchemy_dialect

    def in_transaction(self) -> bool:
        """Say whether a transaction is open."""
        return self.connection.is_in_transaction

    def execute(self, statement: Any, parameters: Any = None) -> None:
        """Run a statement that changes the schema.

        Raises:
            StorageError: it failed.
        """
        del parameters  # statements that change the schema have none
        self.connection.command(str(statement.compile(dialect=self.dialect)))


def connection_of(op: "Operations") -> SQLConnection:
    """Return the store's own connection, for statements that alembic has no operation for."""
    return cast("OperationsConnection", op.get_bind()).connection
