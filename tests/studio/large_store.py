"""A SQLite store of a million sessions: `python tests/studio/large_store.py large.db [SESSIONS]` makes one in a minute.

The adapter makes the tables, the workflows and the runs of `runs`; the rest goes past it, as `INSERT ... SELECT` over
the numbers of the sessions, whose indexes are made afterwards. Session 1 began a year ago, and the last one now.

- Sessions are of 60 workflows, but for one in ten; one in twenty has a parent. Most completed; the newest 200 run;
  those that wait for a budget, or are paused, are the oldest ones alone; none waits for a workflow.
- Every second session has two model calls.
- One session in five has a request for approval, of which one in four is pending.
- The newest tenth has states of three nodes, and of a budget pool; and each a tool call, and one in fifty a stream.
- There are 50,000 budget pools, of which 40,000 are inside of no other, and 2,500 inside of one.
"""

import asyncio
import random
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import runs

from aaow_storage import StoredWorkflow, create_adapter, now

SESSIONS = 1_000_000
WORKFLOWS = 60
POOLS = 50_000
PERIOD = timedelta(days=365)
MICROSECOND = timedelta(microseconds=1)

_NUMBERS = """
CREATE TEMP VIEW numbers AS
WITH RECURSIVE counted (n) AS (
    SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < (SELECT sessions FROM parameters)
)
SELECT n, printf('%08x-%04x-7000-8000-000000000000', n >> 16, n & 65535) AS id,
    (SELECT last_at FROM parameters) - ((SELECT sessions FROM parameters) - n) * (SELECT step FROM parameters) AS at,
    (SELECT sessions FROM parameters) - n AS age
FROM counted
"""
_TABLES = (
    """
INSERT INTO sessions (id, workflow_id, snapshot_digest, status, parent_session_id, created_at, updated_at, metadata)
SELECT numbers.id, CASE WHEN n % 10 THEN workflows.id END, workflows.definition_digest,
    CASE
        WHEN age < 200 THEN 'running'
        WHEN age < 230 THEN 'queued'
        WHEN n <= 100 THEN 'paused'
        WHEN n <= 130 THEN 'waiting_for_budget_approval'
        WHEN n % 1000 = 6 THEN 'waiting_for_human_review'
        WHEN n % 100 < 5 THEN 'failed'
        WHEN n % 100 = 5 THEN 'cancelled'
        ELSE 'completed'
    END,
    CASE WHEN n % 20 = 0 THEN printf('%08x-%04x-7000-8000-000000000000', (n - 1) >> 16, (n - 1) & 65535) END,
    at, at + 42000000, json_object('user', 'user-' || (n % 5000), 'environment', 'production')
FROM numbers JOIN workflows ON workflows.id = printf('workflow-%03d', n / 10 % 60)
""",
    """
INSERT INTO llm_executions (id, session_id, node_id, timestamp, success, prompt_tokens, completion_tokens, total_tokens,
    error, text, provider, model, completed_at, cost, currency, cache_read_tokens)
SELECT printf('%08x-%04x-7000-8000-%012x', n >> 16, n & 65535, call), id, 'node-' || call, at + call * 1000000,
    n % 50 <> 0, 900 + n % 100, 80, 980 + n % 100, CASE n % 50 WHEN 0 THEN 'the model is overloaded' END,
    'The report is ready; it has four parts.', 'acme', CASE n % 6 WHEN 0 THEN 'atlas-large' ELSE 'atlas-small' END,
    at + call * 1000000 + 700000 + n % 97 * 10000, printf('%018d.%018d', 0, (2000 + n % 100) * 1000000000000), 'USD',
    n % 400
FROM numbers, (SELECT 1 AS call UNION ALL SELECT 2)
WHERE n % 2 = 0
""",
    """
INSERT INTO approval_requests (id, session_id, node_id, type, status, created_at, expires_at, resolved_at, resolved_by,
    context)
SELECT printf('%08x-%04x-7000-8000-%012x', n >> 16, n & 65535, 9), id, 'node-2', 'human_review',
    CASE n % 20 WHEN 0 THEN 'pending' WHEN 5 THEN 'rejected' ELSE 'approved' END, at + 3000000,
    CASE WHEN n % 40 = 0 THEN at + 604800000000 END,
    CASE WHEN n % 20 THEN at + 9000000 END, CASE WHEN n % 20 THEN 'ada' END,
    json_object('question', 'May the report be published?')
FROM numbers WHERE n % 5 = 0
""",
    """
INSERT INTO budget_pools (id, parent_pool_id, total_budget, used_budget, status, created_at, metadata)
SELECT printf('pool-%05d', n),
    CASE WHEN n > 47500 THEN 'pool-40001' WHEN n > 40000 THEN printf('pool-%05d', 40000 - (n - 40000) / 4) END,
    printf('%018d.%018d', 100, 0), printf('%018d.%018d', n % 101, 0),
    CASE WHEN n % 101 = 100 THEN 'exhausted' WHEN n % 500 = 0 THEN 'suspended' ELSE 'active' END,
    at, json_object('name', 'Team ' || n)
FROM numbers WHERE n <= 50000
""",
    """
INSERT INTO execution_states (session_id, budget_pool_id, started_at, completed_at)
SELECT id, printf('pool-%05d', n % 50000 + 1), at, CASE WHEN age >= 200 THEN at + 42000000 END
FROM numbers WHERE age < (SELECT sessions / 10 FROM parameters)
""",
    """
INSERT INTO node_execution_states (session_id, node_id, status, started_at, completed_at, retry_count, input, output)
SELECT id, 'node-' || node, 'completed', at + node * 1000000, at + node * 1000000 + 900000, 0, '{"part":1}',
    '{"text":"The report is ready; it has four parts."}'
FROM numbers, (SELECT 1 AS node UNION ALL SELECT 2 UNION ALL SELECT 3)
WHERE age < (SELECT sessions / 10 FROM parameters)
""",
    """
INSERT INTO tool_call_logs (id, execution_id, tool_call_id, tool_name, timestamp, duration_ms, args, result, node_id,
    session_id)
SELECT printf('%08x-%04x-7000-8000-%012x', n >> 16, n & 65535, 5),
    CASE n % 2 WHEN 0 THEN printf('%08x-%04x-7000-8000-%012x', n >> 16, n & 65535, 1) END, 'call-1', 'search',
    at + 1200000, 310.5, '{"text":"opening hours"}', '{"passages":2}', 'node-1', id
FROM numbers WHERE age < (SELECT sessions / 10 FROM parameters)
""",
    """
INSERT INTO stream_events (id, stream_id, node_id, timestamp, data, session_id, sequence)
SELECT printf('%08x-%04x-7000-8000-%012x', n >> 16, n & 65535, 256 + event), id, 'node-3', at + event * 40000,
    '{"kind":"token","text":"report"}', id, event
FROM numbers, (SELECT n AS event FROM numbers LIMIT 100)
WHERE age < (SELECT sessions / 10 FROM parameters) AND n % 50 = 0
""",
)


def make(path: Path, sessions: int = SESSIONS) -> None:
    """Make a store with so many sessions in a file that is not there yet."""
    asyncio.run(_made_by_the_adapter(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -300000")
        connection.execute("PRAGMA temp_store = MEMORY")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TEMP TABLE parameters (sessions, last_at, step)")
        last_at = int(now().timestamp() * 1_000_000)
        connection.execute(
            "INSERT INTO parameters VALUES (?, ?, ?)", (sessions, last_at, PERIOD // MICROSECOND // sessions)
        )
        connection.execute(_NUMBERS)
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for statement in _TABLES:
            connection.execute(statement)
        for _, statement in indexes:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    asyncio.run(_newest_runs(path))


async def _made_by_the_adapter(path: Path) -> None:
    choices = random.Random(1)
    async with create_adapter("sqlite", str(path)) as storage:
        for number in range(WORKFLOWS):
            nodes = [{"id": f"node-{node}", "prompt": choices.choice("abc") * 400} for node in range(1, 10)]
            edges = [{"source": f"node-{node}", "target": f"node-{node + 1}"} for node in range(1, 9)]
            workflow = StoredWorkflow(
                id=f"workflow-{number:03}",
                name=f"report {number // 4}",
                version=str(number % 4),
                definition={"number": number, "nodes": nodes, "edges": edges},
                created_at=now() - PERIOD + timedelta(hours=number),
            )
            await storage.save_workflow(workflow)


async def _newest_runs(path: Path) -> None:
    async with create_adapter("sqlite", str(path)) as storage:
        await runs.fill(storage)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else SESSIONS)
