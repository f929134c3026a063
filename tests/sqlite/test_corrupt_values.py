"""A cell with a value that was never saved is reported as corrupt, with its field, and the store goes on working."""

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aaow_storage import (
    BudgetPool,
    Gt,
    LLMExecutionResult,
    Ne,
    OrderBy,
    QueryFilter,
    Session,
    StorageAdapter,
    StorageError,
    TokenUsage,
    create_adapter,
    now,
)
from aaow_storage.errors import CorruptDataError, NotFoundError
from aaow_storage_conformance.data import samples
from aaow_storage_sql import metadata

Read = Callable[[StorageAdapter], Awaitable[Any]]

READS: dict[str, list[Read]] = {
    "workflows": [lambda at: at.get_workflow("w"), lambda at: at.list_workflows()],
    "sessions": [lambda at: at.get_session("s"), lambda at: at.list_sessions()],
    "execution_states": [lambda at: at.get_execution_state("s")],
    "node_execution_states": [lambda at: at.get_execution_state("s")],
    "llm_executions": [lambda at: at.get_llm_executions("s"), lambda at: at.get_node_llm_executions("s", "draft")],
    "tool_call_logs": [lambda at: at.get_tool_calls("e"), lambda at: at.get_session_tool_calls("s")],
    "budget_pools": [lambda at: at.get_budget_pool("p"), lambda at: at.list_budget_pools()],
    "approval_requests": [lambda at: at.get_approval_request("a"), lambda at: at.list_approval_requests("s")],
    "stream_events": [lambda at: at.get_stream_events("stream")],
    "messages": [lambda at: at.get_llm_executions("s"), lambda at: at.list_llm_executions()],
    "documents": [lambda at: at.get_session("s"), lambda at: at.list_workflows()],
    "change_feed": [
        lambda at: at.get_changes(),
        lambda at: at.last_change(),
        lambda at: at.prune_changes(now() - timedelta(days=1)),
    ],
    "changes": [lambda at: at.get_changes(limit=3), lambda at: at.last_change()],
}
"""For each table, operations that read a row of it."""

FOUND_BY = {
    ("workflows", "id"),
    ("sessions", "id"),
    ("budget_pools", "id"),
    ("approval_requests", "id"),
    ("approval_requests", "session_id"),
    ("execution_states", "session_id"),
    ("node_execution_states", "session_id"),
    ("llm_executions", "id"),
    ("llm_executions", "session_id"),
    ("llm_executions", "node_id"),
    ("tool_call_logs", "execution_id"),
    ("stream_events", "stream_id"),
    ("documents", "digest"),
    ("messages", "session_id"),
    ("messages", "digest"),
    ("changes", "position"),
}
"""The columns by which rows are selected: a wrong value there is not read, so it is not noticed."""

FOUND_BY_ID = {("tool_call_logs", 1)}
"""The reads of READS that look for rows by their ids in a subquery: they find none without an id."""

UNUSED = {("execution_states", "status")}
"""The columns that no operation reads."""

OF_NO_RECORD = {"streams"}
"""Tables with no field of a record."""

WRONG_TEXTS = ("CAST(x'ff80' AS TEXT)", "x'6162'", "'with a NUL' || char(0)")
WRONG: dict[str, tuple[str, ...]] = {
    "id": (*WRONG_TEXTS, "''", "printf('%.300c', 'x')"),
    "text": WRONG_TEXTS,
    "word": (*WRONG_TEXTS, "'no such word'", "''"),
    "instant": ("'abc'", "x'00'", "1.5", "9223372036854775807", "-9223372036854775808", "300000000000000000"),
    "count": ("'abc'", "x'00'", "1.5", "-1"),
    "truth": ("'abc'", "x'01'", "7", "-1", "0.5"),
    "number": ("'abc'", "x'00'", "-1.0", "9e999"),
    "amount": ("'abc'", "x'31'", "'NaN'", "'Infinity'", "'-1'", "'1e9999'", "'1.2345678901234567'", "'12.5'", "''"),
    "json": ("'{'", "''", "x'7b7d'", "'NaN'", "'[1,]'", "CAST(x'ff80' AS TEXT)", "'\"\\ud800\"'"),
    "object": ("'{'", "'[]'", "'5'", "'\"text\"'"),
    "digest": ("'abc'", "x''", "x'00'", "5000000000000", "1.5", "zeroblob(32)"),
    "body": ("'{}'", "'{'", "x'7b7d'", "CAST(x'ff80' AS TEXT)", "''"),
    "transaction": ("0", "1", "-1", "'abc'", "x'00'", "1.5"),
    "generation": (*WRONG_TEXTS, "''", "'ABC'", "'a.b'", "printf('%.33c', 'x')", "x'35'"),
    "pruned": (*WRONG_TEXTS, "''", "'no position'", "generation || '.0.0.0'", "'0.0.1.0.0'", "5", "x'00'"),
    "entries": tuple(
        f"'{text}'"
        for text in (
            *("{", "", "[]", "null", "5", "{}", "[5]", "[null]", "[[]]", "[{}]"),
            *('[["session","s","s"]]', '[["session","s","s","created",1]]', '[["session","s","s","made"]]'),
            *('[["sessions","s","s","created"]]', '[[null,"s","s","created"]]', '[[["session"],"s","s","created"]]'),
            *('[["session","","s","created"]]', '[["session",7,"s","created"]]', '[["session","s","","created"]]'),
            *('[["session","s",7,"created"]]', '[["session","s","s",null]]', '[["session","\\u0000","s","created"]]'),
            f'[["session","{"x" * 300}","s","created"]]',
        )
    ),
}
"""For each kind of column, values that are never saved there, as SQL."""

OBJECTS = {"metadata", "args", "context"}
KINDS_OF_FEED = {
    "transaction_id": "transaction",
    "generation": "generation",
    "pruned": "pruned",
    "changes": "entries",
}
COUNTS = {"sequence", "retry_count", "prompt_tokens", "completion_tokens", "total_tokens"}


def kind_of(column: sa.Column[Any]) -> str:
    """Return the kind of wrong values for a column."""
    kinds = {"Instant": "instant", "JSONText": "json", "Amount": "amount", "Truth": "truth", "Double": "number"}
    if column.name in OBJECTS:
        return "object"
    if column.name in COUNTS:
        return "count"
    if column.table.name in {"changes", "change_feed"} and column.name in KINDS_OF_FEED:
        return KINDS_OF_FEED[column.name]
    if column.name == "body" or isinstance(column.type, sa.LargeBinary):
        return "body" if column.name == "body" else "digest"
    if type(column.type) is sa.String:
        return "word" if column.type.length == 32 else "id"
    return kinds.get(type(column.type).__name__, "text")


def cells() -> list[tuple[str, str, str]]:
    """Return each column with each value that is wrong there, and NULL if no field can be None."""
    wrong = []
    for table in metadata.tables.values():
        for column in table.columns:
            if (table.name, column.name) in FOUND_BY | UNUSED or table.name in OF_NO_RECORD:
                continue
            values = WRONG[kind_of(column)]
            wrong += [(table.name, column.name, value) for value in values]
            if kind_of(column) == "object":
                wrong += [(table.name, column.name, value) for value in WRONG["json"]]
            if not column.nullable:
                wrong.append((table.name, column.name, "NULL"))
    return wrong


async def fill(storage: StorageAdapter) -> None:
    """Store one record of each kind."""
    definition = {"nodes": [{"id": "draft"}]}
    await samples.stored_workflow(storage, id="w", definition=definition)
    await storage.create_session(samples.a_session(id="s", workflow_id="w", workflow_snapshot=definition))
    await storage.save_execution_state(samples.a_state("s", node_states={"draft": samples.a_node_state("draft")}))
    usage = TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    await storage.save_llm_execution("s", "draft", samples.a_result(id="e", usage=usage))
    await samples.stored_execution(storage, "s", input=[{"role": "user", "content": "a long text " * 100}])
    await samples.stored_tool_call(storage, "e")
    await storage.create_budget_pool(BudgetPool(id="root", total_budget=1000))
    await storage.create_budget_pool(BudgetPool(id="p", parent_pool_id="root", total_budget=100))
    await storage.create_approval_request(samples.a_request("s", id="a"))
    await storage.save_stream_event(samples.an_event("stream"))


class Damaged:
    """A filled store in which any value can be put into a cell, past every rule, and back."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON", "writable_schema = ON"):
            self._connection.execute(f"PRAGMA {pragma}")

    def lift_rules(self) -> None:
        """Let every column take every value, NULL too."""
        self._connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
        self._connection.execute("PRAGMA schema_version = 1000")

    def put(self, table: str, column: str, value: str) -> Callable[[], None]:
        """Put the value of a SQL expression into each row; return a function that restores the values."""
        was = self._connection.execute(f'SELECT rowid, "{column}" FROM {table}').fetchall()
        self._connection.execute(f'UPDATE {table} SET "{column}" = {value}')

        def put_back() -> None:
            rows = [(before, rowid) for rowid, before in was]
            self._connection.executemany(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', rows)

        return put_back

    def run(self, sql: str) -> None:
        """Run SQL."""
        self._connection.execute(sql)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@pytest.fixture
def damaged(path: Path, storage: StorageAdapter):
    """The file of the adapter, open for damage."""
    del storage  # it makes the file
    opened = Damaged(path)
    yield opened
    opened.close()


@pytest.mark.asyncio
async def test_a_wrong_value_in_any_column_is_corrupt_data_that_names_the_field(
    storage: StorageAdapter, damaged: Damaged
):
    await fill(storage)
    damaged.lift_rules()
    unseen = []
    for table, column, value in cells():
        put_back = damaged.put(table, column, value)
        for number, read in enumerate(READS[table]):
            if (column, value) == ("id", "NULL") and (table, number) in FOUND_BY_ID:
                continue
            try:
                found: object = await read(storage)
            except CorruptDataError as error:
                found = error
                if column in str(error) or kind_of(metadata.tables[table].c[column]) in {"digest", "body"}:
                    continue
            except StorageError as error:
                found = error
            unseen.append((table, column, value, number, found))
        put_back()
    assert unseen == []
    for reads in READS.values():
        for read in reads:
            assert await read(storage) is not None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("column", "value", "filter"),
    [
        ("total_budget", "'abc'", QueryFilter({"total_budget": Gt(5000)})),
        ("total_budget", "'abc'", QueryFilter({"total_budget": Ne(5000)})),
        ("total_budget", "'abc'", QueryFilter(order_by=[OrderBy("total_budget")], limit=1)),
        ("metadata", "'{'", QueryFilter({"metadata.x": 1})),
        ("metadata", "x'ff'", QueryFilter({"metadata.x": Gt(1)})),
        ("metadata", "CAST(x'ff80' AS TEXT)", QueryFilter({"metadata.x": Gt(1)})),
        ("metadata", "'{'", QueryFilter(order_by=[OrderBy("metadata.x")], limit=1)),
    ],
)
async def test_a_query_that_reads_a_wrong_value_is_refused(
    storage: StorageAdapter, damaged: Damaged, column: str, value: str, filter: QueryFilter
):
    await fill(storage)
    put_back = damaged.put("budget_pools", column, value)
    with pytest.raises(CorruptDataError):
        await storage.list_budget_pools(filter)
    put_back()
    await storage.list_budget_pools(filter)


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["'abc'", "x'ff'", "1.5", "9223372036854775807"])
@pytest.mark.parametrize("column", ["timestamp", "completed_at"])
@pytest.mark.parametrize("group_by", [["day"], ["hour", "model"], []], ids=str)
async def test_sums_over_a_wrong_instant_are_refused_or_leave_none_out(
    storage: StorageAdapter, damaged: Damaged, column: str, value: str, group_by: list[str]
):
    await fill(storage)
    before = await storage.summarize_usage(group_by)
    damaged.lift_rules()
    put_back = damaged.put("llm_executions", column, value)
    try:
        found = await storage.summarize_usage(group_by)
    except CorruptDataError:
        pass
    else:
        assert sum(each.executions for each in found) == sum(each.executions for each in before)
    put_back()
    assert await storage.summarize_usage(group_by) == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("write", "arguments", "changes"),
    [("consume_budget", [1], {}), ("increase_budget", [1], {}), ("update_budget_pool", [], {"metadata": None})],
)
async def test_an_update_of_a_corrupt_record_is_refused_and_changes_nothing(
    storage: StorageAdapter, damaged: Damaged, write: str, arguments: list[Any], changes: dict[str, Any]
):
    await fill(storage)
    before = await storage.get_budget_pool("root")
    put_back = damaged.put("budget_pools", "created_at", "'abc'")
    with pytest.raises(CorruptDataError, match=r"'p'.*created_at"):
        await getattr(storage, write)("p", *arguments, **changes)
    put_back()
    assert await storage.get_budget_pool("root") == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("damage", "match"),
    [
        ("UPDATE budget_pools SET parent_pool_id = 'p' WHERE id = 'root'", "'p' is an ancestor of itself"),
        ("UPDATE budget_pools SET parent_pool_id = 'p' WHERE id = 'p'", "'p' is an ancestor of itself"),
        ("DELETE FROM budget_pools WHERE id = 'root'", "the parent 'root' of the budget pool 'p' is missing"),
    ],
)
async def test_impossible_ancestors_of_a_pool_are_corrupt(
    storage: StorageAdapter, damaged: Damaged, damage: str, match: str
):
    await fill(storage)
    damaged.run(damage)
    with pytest.raises(CorruptDataError, match=match):
        await storage.consume_budget("p", 1)
    with pytest.raises(NotFoundError):
        await storage.consume_budget("none", 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "calls",
    ["'{}'", "'[5]'", "'[{}]'", "'5'", """'[{"tool_call_id":"x"}]'""", "'[null]'"],
)
async def test_invalid_tool_calls_are_corrupt(storage: StorageAdapter, damaged: Damaged, calls: str):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    await storage.save_llm_execution("s", "n", LLMExecutionResult(id="e"))
    damaged.put("llm_executions", "tool_calls", calls)
    with pytest.raises(CorruptDataError, match=r"tool_calls.*'e'"):
        await storage.get_llm_executions("s")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE documents",
        "ALTER TABLE sessions RENAME TO others",
        "ALTER TABLE sessions RENAME COLUMN status TO other",
        "UPDATE sqlite_schema SET sql = 'nonsense' WHERE name = 'sessions'",
        "DELETE FROM sqlite_schema WHERE name = 'sessions'",
        "UPDATE sqlite_schema SET name = CAST(x'e161' AS TEXT), sql = 'no SQL' WHERE name = 'sessions'",
    ],
)
async def test_a_schema_that_no_migration_creates_is_corrupt_data(path: Path, damage: str):
    async with create_adapter("sqlite", str(path)) as storage:
        await fill(storage)
    damaged = Damaged(path)
    damaged.run(damage)
    damaged.close()
    adapter = create_adapter("sqlite", str(path))
    with pytest.raises(CorruptDataError):
        async with adapter:
            await adapter.get_session("s")


@pytest.mark.asyncio
@pytest.mark.parametrize("read", [lambda at: at.list_budget_pools(), lambda at: at.get_budget_pool("p")])
async def test_a_connection_that_read_a_wrong_value_sees_later_writes(
    storage: StorageAdapter, damaged: Damaged, read: Read
):
    await fill(storage)
    put_back = damaged.put("budget_pools", "status", "CAST(x'ff80' AS TEXT)")
    with pytest.raises(CorruptDataError) as caught:
        await read(storage)
    put_back()
    assert await read(storage)
    assert caught.value.__cause__ is not None  # while the error is kept, so is all that its traceback refers to
