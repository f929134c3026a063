"""Rows go in by few statements, whatever their number; each statement, or SQLite, looks for what its row refers to."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from aaow_storage import (
    BudgetPool,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    WorkflowExecutionState,
)
from aaow_storage.errors import NotFoundError
from aaow_storage_sql import SQLConnection, metadata
from aaow_storage_sql._mapping.record_rows import node_row, state_rows
from aaow_storage_sql._statements import insert_statements
from aaow_storage_sql._statements.insert import MAX_ROWS
from aaow_storage_sqlite._dialect import SQLiteDialect

SESSION = Session(id="s", workflow_id=None, workflow_snapshot={})


def state_of(nodes: int, mark: int = 0) -> WorkflowExecutionState:
    names = [f"node-{number:03}" for number in range(nodes)]
    states = {name: NodeExecutionState(node_id=name, output={"of": name, "mark": mark}) for name in names}
    return WorkflowExecutionState(session_id="s", status="running", node_states=states)


@pytest.mark.asyncio
@pytest.mark.parametrize("nodes", [1, 2, 20, MAX_ROWS - 1, MAX_ROWS, 2 * MAX_ROWS + 7])
async def test_any_number_of_nodes_is_saved_and_replaced(storage: StorageAdapter, nodes: int):
    await storage.create_session(SESSION)
    for mark in range(2):
        await storage.save_execution_state(state_of(nodes, mark))
        assert await storage.get_execution_state("s") == state_of(nodes, mark)


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_the_parameters_of_one_row_are_those_of_many_row_by_row(table: sa.Table):
    dialect = SQLiteDialect("here")
    names = tuple(table.columns.keys())
    one = dialect.compile(insert_statements.upsert(dialect.insert, table, names, checks_parents=False))
    three = dialect.compile(insert_statements.upsert_of_rows(dialect.insert, table, names, 3))
    assert three._names == [f"{name}_{row}" for row in range(3) for name in one._names]


@pytest.mark.asyncio
async def test_a_field_that_is_saved_as_none_is_deleted(storage: StorageAdapter):
    await storage.create_session(SESSION)
    full = NodeExecutionState(node_id="a", input=0, output=False, error="", retry_count=2, metadata={"mark": 1})
    bare = [NodeExecutionState(node_id=name) for name in ("a", "b", "c")]
    await storage.save_execution_state(state_with(full, *bare[1:]))
    assert await storage.get_execution_state("s") == state_with(full, *bare[1:])
    await storage.save_execution_state(state_with(*bare))
    assert await storage.get_execution_state("s") == state_with(*bare)
    await storage.update_node_state("s", "a", full)
    await storage.update_node_state("s", "a", bare[0])
    assert await storage.get_execution_state("s") == state_with(*bare)


def state_with(*nodes: NodeExecutionState) -> WorkflowExecutionState:
    return WorkflowExecutionState(session_id="s", status="running", node_states={node.node_id: node for node in nodes})


def test_a_row_has_text_for_json_and_leaves_out_what_is_null():
    state = NodeExecutionState(node_id="n", input=0, output={"b": 1, "a": None})
    row = node_row("s", state)
    assert row == {
        "session_id": "s",
        "node_id": "n",
        "status": "pending",
        "input": "0",
        "output": '{"b":1,"a":null}',
        "retry_count": 0,
    }


def test_rows_made_together_have_the_columns_that_any_of_them_needs():
    at = datetime(2026, 1, 2, tzinfo=UTC)
    first = NodeExecutionState(node_id="a", output=[None], started_at=at)
    names, values = state_rows(state_with(first, NodeExecutionState(node_id="b", retry_count=1)))[2]
    assert names == ("session_id", "node_id", "status", "started_at", "retry_count", "output")
    assert values == [("s", "a", "pending", at, 0, "[null]"), ("s", "b", "pending", None, 1, None)]
    columns = metadata.tables["node_execution_states"].columns.keys()
    assert names == tuple(sorted(names, key=columns.index))


@pytest.mark.asyncio
async def test_the_error_names_the_farthest_ancestor_that_is_missing(storage: StorageAdapter):
    node = NodeExecutionState(node_id="n")
    with pytest.raises(NotFoundError, match="session"):
        await storage.update_node_state("s", "n", node)
    await storage.create_session(SESSION)
    with pytest.raises(NotFoundError, match="execution state"):
        await storage.update_node_state("s", "n", node)
    await storage.save_execution_state(state_of(0))
    await storage.update_node_state("s", "n", node)


@pytest.mark.asyncio
async def test_a_record_cannot_be_its_own_parent(storage: StorageAdapter):
    with pytest.raises(NotFoundError, match="budget pool 'p'"):
        await storage.create_budget_pool(BudgetPool(id="p", parent_pool_id="p", total_budget=1))
    with pytest.raises(NotFoundError, match="session 's'"):
        await storage.create_session(Session(id="s", parent_session_id="s", workflow_id=None, workflow_snapshot={}))
    assert (await storage.list_budget_pools(), await storage.list_sessions()) == ([], [])


@pytest.mark.asyncio
async def test_an_execution_moves_to_the_session_that_it_is_saved_for_again(storage: StorageAdapter):
    await storage.create_session(SESSION)
    await storage.create_session(Session(id="other", workflow_id=None, workflow_snapshot={}))
    result = LLMExecutionResult(text="An answer.")
    await storage.save_llm_execution("s", "n", result)
    await storage.save_llm_execution("other", "m", result)
    assert await storage.get_llm_executions("s") == []
    (moved,) = await storage.get_llm_executions("other")
    assert (moved.id, moved.node_id, moved.text) == (result.id, "m", "An answer.")
    with pytest.raises(NotFoundError, match="session 'missing'"):
        await storage.save_llm_execution("missing", "m", result)
    assert await storage.get_llm_executions("other") == [moved]


def insert_without_checks(insert, table: sa.Table, names: tuple[str, ...]):
    return insert_statements.insert_if_absent(insert, table, names, checks_parents=False)


@pytest.mark.asyncio
@pytest.mark.parametrize("made", [insert_without_checks, insert_statements.optimistic_upsert])
async def test_sqlite_counts_no_foreign_keys_while_it_runs_the_optimistic_statements(made, storage, connection):
    await storage.create_session(SESSION)  # the schema is there
    assert {"FkCounter", "InitCoroutine"} <= opcodes(connection, insert_statements.upsert)
    assert not {"FkCounter", "FkIfZero", "InitCoroutine"} & opcodes(connection, made)


def opcodes(connection: SQLConnection, made) -> set[str]:
    """Return what SQLite does for the statements of all tables."""
    dialect = connection.dialect
    texts = [
        dialect.compile(made(dialect.insert, each, tuple(each.columns.keys())))
        for each in metadata.tables.values()
        if each.name != "change_feed"  # it has no key in SQLite
    ]
    programs = [
        connection.driver_connection.execute(f"EXPLAIN {each.text}", [None] * len(each._names)) for each in texts
    ]
    return {step[1] for program in programs for step in program}
