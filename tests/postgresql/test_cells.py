"""Damaged cells: to read one raises CorruptDataError with the field, and other rows stay readable."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from aaow_storage import BudgetPool, Gt, QueryFilter, StorageAdapter, create_adapter, now
from aaow_storage.errors import CorruptDataError, StorageError
from aaow_storage_conformance.data import samples

pytestmark = pytest.mark.asyncio

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
    "change_feed": [
        lambda at: at.get_changes(),
        lambda at: at.last_change(),
        lambda at: at.prune_changes(now() - timedelta(days=1)),
    ],
    "changes": [lambda at: at.get_changes(), lambda at: at.last_change()],
}
"""For each table, operations that read a row of it."""

INSTANTS = ("'infinity'", "'-infinity'", "'4713-01-01 BC'", "'200000-01-01'")
DOCUMENTS = ("'{'", "'NaN'", "''")
OBJECTS = (*DOCUMENTS, "'[]'", "'5'")
AMOUNTS = ("'NaN'", "'Infinity'", "-1", "1.1234567890123456789", "1e18")
ENTRIES = (
    *(*DOCUMENTS, "NULL", "'[]'", "'null'", "'{}'", "'[5]'", "'[[]]'"),
    *("""'[["session","s","s"]]'""", """'[["session","s","s","made"]]'""", """'[["sessions","s","s","created"]]'"""),
    *("""'[["session","","s","created"]]'""", """'[["session",7,"s","created"]]'"""),
    *("""'[["session","s",7,"created"]]'""", """'[[["session"],"s","s","created"]]'"""),
)
CELLS: list[tuple[str, str, tuple[str, ...]]] = [
    ("workflows", "created_at", INSTANTS),
    ("workflows", "definition_digest", ("'\\x00'", "decode(repeat('00', 32), 'hex')", "NULL")),
    ("workflows", "name", ("NULL",)),
    ("sessions", "updated_at", (*INSTANTS, "NULL")),
    ("sessions", "status", ("'no such word'", "''", "NULL")),
    ("sessions", "workflow_id", ("''",)),
    ("sessions", "snapshot_digest", ("'\\x00'", "NULL")),
    ("execution_states", "started_at", INSTANTS),
    ("execution_states", "metadata", OBJECTS),
    ("node_execution_states", "retry_count", ("-1", "NULL")),
    ("node_execution_states", "output", DOCUMENTS),
    ("llm_executions", "prompt_tokens", ("-1", "NULL")),
    ("llm_executions", "tool_calls", (*DOCUMENTS, "'5'", "'[5]'", "'{}'")),
    ("llm_executions", "timestamp", INSTANTS),
    ("tool_call_logs", "args", (*OBJECTS, "NULL")),
    ("tool_call_logs", "duration_ms", ("-1", "'NaN'", "'Infinity'")),
    ("budget_pools", "used_budget", (*AMOUNTS, "NULL")),
    ("budget_pools", "metadata", OBJECTS),
    ("approval_requests", "type", ("'no such word'",)),
    ("approval_requests", "expires_at", INSTANTS),
    ("stream_events", "data", DOCUMENTS),
    ("change_feed", "generation", ("''", "'ABC'", "'a.b'", "'é'", "NULL")),
    ("change_feed", "is_recording", ("NULL",)),
    ("change_feed", "pruned", ("''", "'no position'", "generation || '.1.1.1'", "'0.1.1.0.0'")),
    ("changes", "transaction_id", ("0", "-1")),
    ("changes", "position", ("-position", "position - 1000000")),
    ("changes", "at", (*INSTANTS, "NULL")),
    ("changes", "changes", ENTRIES),
]
"""Columns with values, as SQL, that their type allows and no field can have."""
OF_DOCUMENTS = {"definition_digest", "snapshot_digest"}


async def fill(storage: StorageAdapter) -> None:
    """Store one record of each kind."""
    definition = {"nodes": [{"id": "draft"}]}
    await samples.stored_workflow(storage, id="w", definition=definition)
    await storage.create_session(samples.a_session(id="s", workflow_id="w", workflow_snapshot=definition))
    await storage.save_execution_state(samples.a_state("s", node_states={"draft": samples.a_node_state("draft")}))
    await storage.save_llm_execution("s", "draft", samples.a_result(id="e"))
    await samples.stored_tool_call(storage, "e")
    await storage.create_budget_pool(BudgetPool(id="root", total_budget=1000))
    await storage.create_budget_pool(BudgetPool(id="p", parent_pool_id="root", total_budget=100))
    await storage.create_approval_request(samples.a_request("s", id="a"))
    await storage.save_stream_event(samples.an_event("stream"))


def lift_rules(raw: Callable[..., list[tuple]]) -> None:
    """Drop the constraints, and the indexes that parse documents, so that wrong values can be stored."""
    for table, constraint in raw(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('f', 'c') AND conrelid <> 0"
        " AND connamespace = current_schema()::regnamespace"
    ):
        raw(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
    for table, column in raw(
        "SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE attnotnull AND attidentity = '' AND attnum > 0"
        " AND relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        " AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisprimary AND attnum = ANY (indkey))"
    ):
        raw(f'ALTER TABLE {table} ALTER COLUMN "{column}" DROP NOT NULL')
    for (index,) in raw(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indexprs IS NOT NULL AND indrelid > 16000"
    ):
        raw(f"DROP INDEX {index}")


async def test_a_wrong_value_in_a_column_is_corrupt_data_that_names_the_field(storage: StorageAdapter, raw):
    await fill(storage)
    lift_rules(raw)
    unseen = []
    for table, column, values in CELLS:
        raw(f"CREATE TABLE kept AS SELECT * FROM {table}")
        for value in values:
            raw(f"UPDATE {table} SET {column} = {value}")
            for number, read in enumerate(READS[table]):
                try:
                    found: object = await read(storage)
                except CorruptDataError as error:
                    found = error
                    if column in str(error) or column in OF_DOCUMENTS:
                        continue
                except StorageError as error:
                    found = error
                unseen.append((table, column, value, number, found))
        raw(f"DELETE FROM {table}")
        raw(f"INSERT INTO {table} SELECT * FROM kept")
        raw("DROP TABLE kept")
    assert unseen == []
    for reads in READS.values():
        for read in reads:
            assert await read(storage) is not None


async def test_a_query_over_a_document_that_is_not_json_is_refused(storage: StorageAdapter, raw):
    await fill(storage)
    lift_rules(raw)
    raw("UPDATE budget_pools SET metadata = '{'")
    with pytest.raises(CorruptDataError):
        await storage.list_budget_pools(QueryFilter({"metadata.x": Gt(1)}))


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE documents CASCADE",
        "ALTER TABLE sessions RENAME COLUMN status TO other",
        "ALTER TABLE sessions RENAME TO others",
    ],
)
async def test_a_schema_changed_by_hand_is_corrupt_data(url: str, raw, damage: str):
    async with create_adapter("postgresql", url) as storage:
        await fill(storage)
        raw(damage)
        with pytest.raises(CorruptDataError, match="restore a backup"):
            await storage.get_session("s")


async def test_a_cycle_of_parent_pools_is_corrupt_data(storage: StorageAdapter, raw):
    await fill(storage)
    raw("UPDATE budget_pools SET parent_pool_id = 'p' WHERE id = 'root'")
    with pytest.raises(CorruptDataError, match="'p' is an ancestor of itself"):
        await storage.consume_budget("p", 1)
