"""Lists and cascades go through indexes, whatever the filter's values."""

import pytest

from aaow_storage import Gt, In, Ne, OrderBy, QueryFilter, Session, StorageAdapter, StreamSummary, now
from aaow_storage.authoring import plan_query
from aaow_storage_sql import CompiledStatement, SQLConnection
from aaow_storage_sql._repositories.approvals import _PENDING
from aaow_storage_sql._repositories.llm_executions import _CALLS_OF_SESSION, _OF_NODE, _OF_SESSION
from aaow_storage_sql._repositories.sessions import _SOURCE as SESSIONS
from aaow_storage_sql._repositories.stream_events import _SUMMARIES_OF_SESSION
from aaow_storage_sql._statements.select import Source, _parameters, _shape, compiled_list

A_SESSION = Session(workflow_id=None, workflow_snapshot={})
NEWEST_FIRST = OrderBy("created_at", "desc")


def compiled(connection: SQLConnection, plan) -> CompiledStatement:
    return compiled_list(connection.dialect, SESSIONS, _shape(connection.dialect, plan), is_locking=False)


def query_plan(connection: SQLConnection, source: Source, plan, **scope) -> str:
    shape = _shape(connection.dialect, plan)
    compiled = compiled_list(connection.dialect, source, shape, is_locking=False)
    values = compiled.bind({**scope, **_parameters(connection.dialect, plan)})
    rows = connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", values)
    return "; ".join(row[3] for row in rows)


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        (None, "ix_sessions_created_at_id"),
        (QueryFilter({"status": "running"}), "ix_sessions_status_created_at_id"),
        (QueryFilter({"workflow_id": "w"}), "ix_sessions_workflow_id_created_at_id"),
        (QueryFilter({"parent_session_id": "s"}), "ix_sessions_parent_session_id"),
        (QueryFilter().after(A_SESSION), "ix_sessions_created_at_id (created_at>?)"),
        (QueryFilter({"status": "running"}).after(A_SESSION), "(status=? AND created_at>?)"),
        (QueryFilter(order_by=NEWEST_FIRST).after(A_SESSION), "ix_sessions_created_at_id (created_at<?)"),
        (
            QueryFilter({"status": "running"}, NEWEST_FIRST).after(A_SESSION),
            "(status=? AND created_at<?)",
        ),
        (QueryFilter({"created_at": Gt(now())}), "ix_sessions_created_at_id (created_at>?)"),
        (QueryFilter(order_by=NEWEST_FIRST), "ix_sessions_created_at_id"),
    ],
)
def test_a_list_of_sessions_is_read_through_an_index(migrated: SQLConnection, filter, index):
    plan = query_plan(migrated, SESSIONS, plan_query(Session, filter, "created_at"))
    assert index in plan
    assert "SCAN sessions" not in plan or "USING INDEX" in plan


@pytest.mark.parametrize("source", [_OF_SESSION[True], _OF_NODE[True], _CALLS_OF_SESSION, _PENDING])
def test_records_of_a_parent_are_found_without_a_scan(migrated: SQLConnection, source: Source):
    scope = {"in_session": "s", "in_node": "n", "at": now()}
    assert "SCAN" not in query_plan(migrated, source, plan_query(Session, None, "id"), **scope)


def test_streams_of_a_session_are_found_by_its_events(migrated: SQLConnection):
    plan = query_plan(
        migrated,
        _SUMMARIES_OF_SESSION,
        plan_query(StreamSummary, QueryFilter({"session_id": "s"}), "first_event_at"),
        in_session="s",
    )
    assert "ix_stream_events_session_id (session_id=?)" in plan
    assert "SCAN stream_events" not in plan


def test_the_text_of_a_statement_depends_on_the_shape_of_the_filter_only(migrated: SQLConnection):
    one = plan_query(Session, QueryFilter({"status": "running", "metadata.user": "a"}, limit=5), "created_at")
    other = plan_query(Session, QueryFilter({"status": "failed", "metadata.user": 7}, limit=50), "created_at")
    assert compiled(migrated, one) is compiled(migrated, other)


def test_a_keyset_condition_grows_linearly_with_the_keys(migrated: SQLConnection):
    def length(keys: int) -> int:
        order = [OrderBy(("metadata", f"k{number:02}")) for number in range(keys)]
        return len(compiled(migrated, plan_query(Session, QueryFilter(order_by=order).after(A_SESSION), "id")).text)

    assert length(16) < 2.7 * length(8)


def test_lists_of_values_of_all_lengths_share_few_statements(migrated: SQLConnection):
    texts = set()
    for count in range(1, 200):
        values = [str(number) for number in range(count)]
        texts.add(compiled(migrated, plan_query(Session, QueryFilter({"id": In(values)}), "created_at")).text)
    assert len(texts) <= 6


@pytest.mark.asyncio
async def test_large_shapes_are_not_cached(storage: StorageAdapter):
    before = compiled_list.cache_info().currsize
    for first in range(0, 200, 20):
        where = {("metadata", f"k{number}"): Ne(1) for number in range(first, first + 20)}
        await storage.list_sessions(QueryFilter(where))
        await storage.list_sessions(QueryFilter({("metadata", f"{first:0300}"): 1}))
        await storage.list_sessions(QueryFilter(order_by=[OrderBy(name) for name in where][:8]))
    assert compiled_list.cache_info().currsize == before
