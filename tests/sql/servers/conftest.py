"""A store in a SQLite file that the layer of servers uses as if it were a server."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.schema import CreateTable

from aaow_storage_sql import SQLConnection, commit_marks

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

from sqlite_as_server import Connection, Settings, SQLiteServer


@pytest.fixture
def settings(migrated: SQLConnection, tmp_path: Path) -> Settings:
    """The options of an adapter of a store that has the table of commit marks."""
    migrated.command(str(CreateTable(commit_marks).compile(dialect=migrated.dialect.sqlalchemy_dialect)))
    return Settings(path=tmp_path / "store.db", acquire_timeout=5)


@pytest.fixture
def server(settings: Settings) -> SQLiteServer:
    """The file as a server."""
    return SQLiteServer(settings)


@pytest.fixture
def connection_to_server(server: SQLiteServer) -> Iterator[Connection]:
    """A connection that an operation writes on."""
    opened = server.connect()
    yield opened
    opened.close()
