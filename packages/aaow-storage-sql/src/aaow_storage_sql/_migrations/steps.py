"""Steps of the schema for databases that commit each statement that changes it.

There, a migration cannot be rolled back: it may end between any two statements, and goes on when the store is opened
again. So a revision is a list of steps, each of them one statement that may run again, because nothing says whether it
ran before the interruption. The version of the store is set after each revision.
"""

from attrs import frozen

from aaow_storage.errors import StorageError
from aaow_storage_sql._schema.revisions import VERSION_TABLE
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._tuning import DEFAULT


@frozen
class Step:
    """One statement of a migration.

    Attributes:
        statement: its text. It has no parameters.
        unless: a query that has a row once the statement has run. None for a statement that may be repeated as it is,
            such as `CREATE TABLE IF NOT EXISTS` or an UPDATE of the rows that have not been changed yet.
    """

    statement: str
    unless: str | None = None

    def is_done(self, connection: SQLConnection) -> bool:
        """Say whether the store shows that the statement has run."""
        return self.unless is not None and connection.command(self.unless) is not None

    def run(self, connection: SQLConnection) -> None:
        """Run the statement, unless it has run; again, if a concurrent transaction aborted it.

        Raises:
            StorageError: it failed, and no other process has run it meanwhile.
        """
        for last in (*[False] * (DEFAULT.max_step_tries - 1), True):
            if self.is_done(connection):
                return
            try:
                connection.command(self.statement)
            except StorageError as error:
                if self.is_done(connection):
                    return
                if last or not connection.dialect.aborts_transaction(error):
                    raise
            else:
                return


def set_version(before: str, after: str) -> Step:
    """Return the step that changes the version of the store, unless another process has changed it."""
    return Step(f"UPDATE {VERSION_TABLE} SET version_num = '{after}' WHERE version_num = '{before}'")  # noqa: S608 - names of ours


@frozen
class Stage:
    """Steps that bring a store from one version to another.

    Attributes:
        title: says what they do.
        steps: the statements, of which the last one sets the version.
    """

    title: str
    steps: tuple[Step, ...]
