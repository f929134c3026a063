"""Conditions and orders that a database cannot work out are worked out in Python, with the results of the database."""

import random
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import ClassVar

import pytest

from aaow_storage import (
    AnyOf,
    Direction,
    Gt,
    In,
    LLMExecutionResult,
    Ne,
    Not,
    OrderBy,
    QueryFilter,
    Session,
    StartsWith,
    StorageAdapter,
    TokenUsage,
)
from aaow_storage.authoring import Condition, FieldKind, plan_query
from aaow_storage_sql import SQLConnection
from aaow_storage_sql._repositories.sessions import _SOURCE
from aaow_storage_sql._statements import plan as plans
from aaow_storage_sql._statements.plan import plan_count, plan_rows
from aaow_storage_sqlite._dialect import SQLiteDialect

pytestmark = pytest.mark.asyncio

WORDS = ["a", "b", None, 1, 1.0, 2, True, ["a"], {"a": 1}, "ab"]
CONDITIONS = [
    {"metadata.w": "a"},
    {"metadata.w": 1},
    {"metadata.w": None},
    {"metadata.w": Ne("a")},
    {"metadata.w": In(["a", 2, None])},
    {"metadata.w": Gt(0)},
    {"metadata.w": StartsWith("a"), "status": "running"},
    {"metadata.w": AnyOf(Gt("a"), 2), "workflow_snapshot.n": Gt(3)},
    {"metadata.w": Not(Gt(1))},
    {"status": "completed"},
    {},
]
ORDERS = [
    (),
    OrderBy("id"),
    OrderBy("status", Direction.DESCENDING),
    OrderBy("metadata.w"),
    OrderBy("metadata.w", Direction.DESCENDING),
    OrderBy("workflow_snapshot.n"),
]


class ComparesInPython(SQLiteDialect):
    """SQLite's dialect, if SQLite could not compare values in JSON, nor sort texts of any length."""

    compared_here: ClassVar[frozenset[FieldKind]] = frozenset({FieldKind.JSON})


class ComparesWithHelp(ComparesInPython):
    """The same, if it could find the rows that may match some conditions."""

    def narrows(self, condition: Condition) -> bool:
        return condition.operand == "a"


async def fill(storage: StorageAdapter, count: int) -> None:
    chosen = random.Random(7)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    async with storage.transaction(timeout=60) as transaction:
        for number in range(count):
            await transaction.create_session(
                Session(
                    id=f"{number:03}",
                    workflow_id=None,
                    workflow_snapshot={"n": number % 7},
                    status=chosen.choice(["running", "completed"]),
                    created_at=start + timedelta(seconds=number // 3),
                    metadata=chosen.choice([None, {"w": chosen.choice(WORDS)}, {}]),
                )
            )


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_FIRST_BATCH", 5)
    monkeypatch.setattr(plans, "_MAX_BATCH", 11)
    monkeypatch.setattr(plans, "_MAX_IDS", 7)


@pytest.mark.parametrize("dialect", [ComparesInPython, ComparesWithHelp])
async def test_lists_are_those_of_the_database(storage: StorageAdapter, connection: SQLConnection, dialect):
    await fill(storage, 90)
    by_database, in_python = connection.dialect, dialect("here")
    for conditions, order, bounds in product(CONDITIONS, ORDERS, [{}, {"limit": 7}, {"limit": 9, "offset": 4}]):
        plan = plan_query(Session, QueryFilter(conditions, order, **bounds), "created_at")
        found, counted = [], []
        for each in (by_database, in_python):
            connection.dialect = each
            found.append(plan_rows(connection, _SOURCE, plan))
            counted.append(plan_count(connection, _SOURCE, plan))
        assert found[0] == found[1], (conditions, order, bounds)
        assert counted == [len(found[0])] * 2


@pytest.mark.parametrize("order", ORDERS)
async def test_a_list_is_walked_by_its_last_record(storage: StorageAdapter, connection: SQLConnection, order):
    await fill(storage, 40)
    where = {"metadata.w": Ne("b")}
    whole = await storage.list_sessions(QueryFilter(where, order))
    chosen = QueryFilter(where, order, limit=6)
    connection.dialect = ComparesInPython("here")
    walked: list[str] = []
    while True:
        after = chosen if not walked else chosen.after(await storage.get_session(walked[-1]))
        page = plan_rows(connection, _SOURCE, plan_query(Session, after, "created_at"))
        if not page:
            break
        walked += [row[1] for row in page]
    assert walked == [each.id for each in whole]


async def test_usage_is_summed_over_the_executions_that_python_chooses(
    storage: StorageAdapter, connection: SQLConnection, monkeypatch: pytest.MonkeyPatch
):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    for number in range(30):
        usage = TokenUsage(prompt_tokens=number, completion_tokens=0, total_tokens=number)
        result = LLMExecutionResult(id=f"{number}", model=f"m{number % 2}", usage=usage, metadata={"w": number % 3})
        await storage.save_llm_execution("s", "n", result)
    chosen = QueryFilter({"metadata.w": 1})
    expected = await storage.summarize_usage(["model"], chosen)
    monkeypatch.setattr(SQLiteDialect, "compared_here", frozenset({FieldKind.JSON}))
    assert await storage.summarize_usage(["model"], chosen) == expected
    assert sum(each.executions for each in expected) == 10
