"""Changing the constraints of a table that holds rows, without copying them.

PostgreSQL alters a table. SQLite cannot, but documents how to edit the text of the table in its schema, for changes
that leave the file format alone: other words in a CHECK, or no NOT NULL any more.
"""

from collections.abc import Sequence

from aaow_storage.errors import StorageError
from aaow_storage_sql._schema.families import POSTGRESQL, is_of
from aaow_storage_sql._statements.connection import SQLConnection


def is_postgresql(connection: SQLConnection) -> bool:
    """Say whether the store is a PostgreSQL database; otherwise it is SQLite: others begin at a later revision."""
    return is_of(connection.dialect.sqlalchemy_dialect, POSTGRESQL)


def allow_words(
    connection: SQLConnection, table: str, column: str, before: Sequence[str], after: Sequence[str]
) -> None:
    """Replace the words that a column may have.

    Raises:
        StorageError: a row has another word; the error names the word.
    """
    listed = ", ".join(f"'{word}'" for word in after)
    found = connection.command(
        f"SELECT {column} FROM {table} WHERE {column} NOT IN ({listed}) LIMIT 1"  # noqa: S608 - names of ours
    )
    if found is not None:
        problem = f"{table} has rows with the {column} '{found[0]}', which the other version does not know"
        raise StorageError(f"{problem}: change or delete them first; nothing was migrated")
    if is_postgresql(connection):
        name = f"ck_{table}_{column}"
        connection.command(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        connection.command(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IN ({listed}))")
    else:
        edit_table(connection, table, ", ".join(f"'{word}'" for word in before), listed)


def add_constraint(connection: SQLConnection, table: str, constraint: str) -> None:
    """Add a constraint, which all rows fulfil; it begins with `CONSTRAINT name`."""
    if is_postgresql(connection):
        connection.command(f"ALTER TABLE {table} ADD {constraint}")
    else:
        key = f"CONSTRAINT pk_{table} PRIMARY KEY"
        edit_table(connection, table, key, f"{constraint}, {key}")


def drop_constraint(connection: SQLConnection, table: str, constraint: str) -> None:
    """Drop what `add_constraint` added."""
    if is_postgresql(connection):
        connection.command(f"ALTER TABLE {table} DROP CONSTRAINT {constraint.split()[1]}")
    else:
        edit_table(connection, table, f"{constraint}, ", "")


def edit_table(connection: SQLConnection, table: str, before: str, after: str) -> None:
    """Replace a part of the text of a table of SQLite.

    Raises:
        StorageError: the part is not there exactly once: somebody has changed the table.
    """
    row = connection.command(
        f"SELECT sql FROM sqlite_master WHERE type = 'table' AND name = '{table}'"  # noqa: S608 - a name of ours
    )
    text = "" if row is None else str(row[0])
    if text.count(before) != 1:
        raise StorageError(
            f"the table {table} cannot be migrated, because it was changed: {before!r} is not in it once; "
            "restore the table as the release before made it"
        )
    (version,) = connection.command("PRAGMA schema_version") or (0,)
    quoted = text.replace(before, after).replace("'", "''")
    connection.command("PRAGMA writable_schema = ON")
    try:
        connection.command(
            f"UPDATE sqlite_master SET sql = '{quoted}' WHERE type = 'table' AND name = '{table}'"  # noqa: S608 - as above
        )
        connection.command(f"PRAGMA schema_version = {version + 1}")
    finally:
        connection.command("PRAGMA writable_schema = RESET")
