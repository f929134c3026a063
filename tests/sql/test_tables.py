"""The metadata is the only place a column is declared; the migrations yield exactly it, either way."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from aaow_storage import (
    ApprovalStatus,
    ApprovalType,
    BudgetPoolStatus,
    NodeExecutionStatus,
    SessionStatus,
)
from aaow_storage.errors import StorageError
from aaow_storage_sql import HEAD, REVISIONS, VERSION_TABLE, SQLConnection, metadata
from aaow_storage_sql._migrations import versions
from aaow_storage_sql._migrations.history import HISTORY
from aaow_storage_sql._schema.tables import kind_of
from aaow_storage_sqlite._upgrade import migrate_store, version

PATIENCE_S = 5.0


def declared(connection: SQLConnection) -> dict[str, str]:
    """What the database says each table and index is, with white space folded."""
    rows = connection.driver_connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> ?", (VERSION_TABLE,)
    )
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows}


def parts(sql: str) -> tuple[str, list[str]]:
    """A CREATE statement as its head and its sorted parts, since the order of constraints is of no meaning."""
    head, _, body = sql.partition("(")
    depth, part, found = 0, "", []
    for character in body.strip().removesuffix(")"):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            found.append(part.strip())
            part = ""
        else:
            part += character
    return head.strip(), sorted([*found, part.strip()])


def created_from_metadata(tmp_path: Path) -> dict[str, str]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'metadata.db'}")
    metadata.create_all(engine)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").all()
    engine.dispose()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in rows}


def test_migrating_from_empty_yields_exactly_the_metadata(connection: SQLConnection, tmp_path: Path):
    migrate_store(connection, HEAD, PATIENCE_S)
    migrated = {name: parts(sql) for name, sql in declared(connection).items()}
    assert migrated == {name: parts(sql) for name, sql in created_from_metadata(tmp_path).items()}


def test_the_revisions_in_the_schema_are_those_of_the_migrations():
    assert tuple(each.revision for each in HISTORY) == REVISIONS
    folder = Path(versions.__file__).parent
    assert sorted(each.__name__.rpartition(".")[2] for each in HISTORY) == sorted(
        path.stem for path in folder.glob("v*.py")
    )


def test_a_store_two_migrations_behind_is_upgraded_with_its_data_kept(connection: SQLConnection):
    migrate_store(connection, REVISIONS[-3], PATIENCE_S)
    raw = connection.driver_connection
    raw.execute("INSERT INTO documents (digest, body) VALUES (x'00', '{}')")
    raw.execute(
        "INSERT INTO workflows (id, name, version, definition_digest, created_at, updated_at)"
        " VALUES ('w', 'n', '1', x'00', 0, 0)"
    )
    assert version(connection) == REVISIONS[-3]
    migrate_store(connection, HEAD, PATIENCE_S)
    assert version(connection) == HEAD
    assert raw.execute("SELECT id, name FROM workflows").fetchall() == [("w", "n")]


def test_downgrades_restore_the_schema_before(connection: SQLConnection):
    found = {}
    for revision in REVISIONS:
        migrate_store(connection, revision, PATIENCE_S)
        found[revision] = declared(connection)
    for revision in reversed(REVISIONS):
        migrate_store(connection, revision, PATIENCE_S)
        assert declared(connection) == found[revision]
    migrate_store(connection, "base", PATIENCE_S)
    assert declared(connection) == {}


def test_a_migration_that_fails_leaves_the_store_as_it_was(connection: SQLConnection):
    migrate_store(connection, REVISIONS[0], PATIENCE_S)
    connection.driver_connection.execute("CREATE TABLE approval_requests (mine)")
    before = declared(connection)
    with pytest.raises(StorageError, match="approval_requests"):
        migrate_store(connection, HEAD, PATIENCE_S)
    assert declared(connection) == before
    assert version(connection) == REVISIONS[0]


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("sessions", "status", SessionStatus),
        ("execution_states", "status", SessionStatus),
        ("node_execution_states", "status", NodeExecutionStatus),
        ("budget_pools", "status", BudgetPoolStatus),
        ("approval_requests", "status", ApprovalStatus),
        ("approval_requests", "type", ApprovalType),
    ],
)
def test_the_database_itself_rejects_a_text_that_is_not_in_the_enumeration(
    connection: SQLConnection, table: str, column: str, words: type
):
    migrate_store(connection, HEAD, PATIENCE_S)
    checks = [part for part in parts(declared(connection)[table])[1] if f"ck_{table}_{column}" in part]
    assert re.findall(r"'(\w+)'", checks[0]) == [str(word) for word in words]


def test_errors_have_a_word_for_a_row_of_each_table():
    words = [kind_of(table) for table in metadata.tables.values()]
    assert len(set(words)) == len(words)
