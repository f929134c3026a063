"""An index on a path in JSON is used, and changes no answer."""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import In, Ne, QueryFilter, Session, ValidationError, create_adapter
from aaow_storage.authoring import plan_query
from aaow_storage_sql._repositories.sessions import _SOURCE as SESSIONS
from aaow_storage_sql._statements.select import _parameters, _shape, compiled_list
from aaow_storage_sqlite._dialect import SQLiteDialect

USER = "Session.metadata.user"
VALUES = ["ann", "", "1", "1.0", "a\0b", "a", "ä", 0, 1, -1, 2**31, 2**53 + 1, 1.0, 0.5, True, False, None]


def query_plan(path: Path, filter: QueryFilter) -> str:
    """Return how SQLite would look for the sessions of a filter."""
    dialect = SQLiteDialect(str(path))
    plan = plan_query(Session, filter, "created_at")
    compiled = compiled_list(dialect, SESSIONS, _shape(dialect, plan), is_locking=False)
    connection = sqlite3.connect(path)
    connection.create_function("aaow_json_matches", 4, lambda *_: 1, deterministic=True)
    values = compiled.bind(_parameters(dialect, plan))
    rows = connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", values).fetchall()
    connection.close()
    return "; ".join(row[3] for row in rows)


async def metadata_found(path: Path, filters: Iterable[QueryFilter], indexes: list[str]) -> list[list[Any]]:
    async with create_adapter("sqlite", str(path), indexes=indexes) as storage:
        return [[session.metadata for session in await storage.list_sessions(one)] for one in filters]


@pytest.mark.asyncio
async def test_a_requested_index_is_used_for_equality_in_the_default_order(path: Path):
    async with create_adapter("sqlite", str(path), indexes=[USER]):
        pass
    plan = query_plan(path, QueryFilter({"metadata.user": "ann"}))
    assert "USING INDEX json_sessions_metadata.user" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.asyncio
async def test_a_path_without_a_requested_index_has_none(path: Path):
    async with create_adapter("sqlite", str(path), indexes=[USER]):
        pass
    assert "json_" not in query_plan(path, QueryFilter({"metadata.team": "ann"}))
    assert "json_" not in query_plan(path, QueryFilter({"metadata.user.name": "ann"}))


@pytest.mark.asyncio
async def test_a_filter_finds_the_same_with_an_index_as_without(path: Path):
    async with create_adapter("sqlite", str(path)) as storage:
        for value in VALUES:
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}, metadata={"user": value}))
        for metadata in (None, {}, {"user": ["ann"]}, {"user": {}}):
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}, metadata=metadata))
    filters = [QueryFilter({"metadata.user": wanted}) for value in VALUES for wanted in (value, Ne(value), In([value]))]
    without = await metadata_found(path, filters, [])
    assert await metadata_found(path, filters, [USER]) == without
    assert without[0] == [{"user": "ann"}]
    assert without[3 * VALUES.index("a\0b")] == [{"user": "a\0b"}]


@pytest.mark.asyncio
async def test_indexes_are_created_once_for_each_path(path: Path, raw: Callable[..., list[tuple]]):
    indexes = ["Session.metadata.a_b", "Session.metadata.a.b", "Session.metadata.A_B", "StreamEvent.data.kind", USER]
    for _ in range(2):
        async with create_adapter("sqlite", str(path), indexes=indexes) as storage:
            await storage.create_session(Session(workflow_id=None, workflow_snapshot={}))
    made = raw("SELECT name FROM sqlite_master WHERE type = 'index' AND name GLOB 'json_*'")
    assert len(made) == len(indexes)


@pytest.mark.asyncio
async def test_no_index_is_created_if_migrating_is_forbidden(path: Path, raw: Callable[..., list[tuple]]):
    async with create_adapter("sqlite", str(path)):
        pass
    storage = create_adapter("sqlite", str(path), indexes=[USER])
    await storage.initialize(migrate=False)
    await storage.close()
    assert raw("SELECT name FROM sqlite_master WHERE name GLOB 'json_*'") == []


@pytest.mark.parametrize(
    "name",
    [
        "Session.metadata.a b",
        "Session.metadata.a'b",
        "Session.metadata.ä",
        "Session.status",
        "Session.nothing.user",
        "Session.workflow_snapshot.name",
        "Nothing.metadata.user",
        "metadata.user",
        "Session",
        "",
        7,
    ],
)
def test_a_path_that_cannot_be_indexed_is_refused(name: object):
    with pytest.raises(ValidationError) as raised:
        create_adapter("sqlite", ":memory:", indexes=[name])
    assert raised.value.field == "indexes"


def test_a_string_is_not_a_list_of_paths():
    with pytest.raises(ValidationError, match="indexes"):
        create_adapter("sqlite", ":memory:", indexes=USER)
