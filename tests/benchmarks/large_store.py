"""Filling a store with any number of sessions, past the adapter, in the tables that it has made.

A session has five node states and five model calls; all are of ten workflows, and each has the snapshot of its
workflow. One session in five runs, and waits for an approval.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from aaow_storage import Session, StorageAdapter, StoredWorkflow, create_adapter
from benchmarks import payloads
from benchmarks.baselines import open_bare

WORKFLOWS = 10
ROWS_EACH = 5
WAITING_EVERY = 5
SESSIONS_A_COMMIT = 20_000
FIRST_INSTANT = 1_767_225_600_000_000
BETWEEN_SESSIONS = 1_000_000

INSERTS = {
    "sessions": "INSERT INTO sessions (id, workflow_id, snapshot_digest, status, created_at, updated_at, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)",
    "states": "INSERT INTO execution_states (session_id, status) VALUES (?, ?)",
    "nodes": "INSERT INTO node_execution_states (session_id, node_id, status, retry_count, input, output)"
    " VALUES (?, ?, 'completed', 0, ?, ?)",
    "calls": "INSERT INTO llm_executions (id, session_id, node_id, timestamp, success, prompt_tokens,"
    " completion_tokens, total_tokens, text, metadata) VALUES (?, ?, ?, ?, 1, 900, 80, 980, ?, ?)",
    "approvals": "INSERT INTO approval_requests (id, session_id, node_id, type, status, created_at, context)"
    " VALUES (?, ?, 'node-0', 'human_review', 'pending', ?, '{}')",
}


def session_id(number: int) -> str:
    """Return the id of a session, in the order of time, as new ids are."""
    return _id(number, 0)


def fill(path: Path, sessions: int) -> None:
    """Make a store with so many sessions."""
    digests = asyncio.run(_workflows_and_their_digests(path))
    with closing(open_bare(path, "NORMAL")) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        numbers = iter(range(1, sessions + 1))
        while some := list(islice(numbers, SESSIONS_A_COMMIT)):
            connection.execute("BEGIN IMMEDIATE")
            for name, rows in _rows(some, digests).items():
                connection.executemany(INSERTS[name], rows)
            connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _workflows_and_their_digests(path: Path) -> list[bytes]:
    async with create_adapter("sqlite", str(path)) as storage:
        for number in range(WORKFLOWS):
            await storage.save_workflow(_workflow(number))
            await _first_session(storage, number)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT definition_digest FROM workflows ORDER BY id").fetchall()
        return [digest for (digest,) in rows]


async def _first_session(storage: StorageAdapter, number: int) -> None:
    workflow = _workflow(number)
    await storage.create_session(
        Session(id=f"first-{number}", workflow_id=workflow.id, workflow_snapshot=workflow.definition)
    )


def _workflow(number: int) -> StoredWorkflow:
    return StoredWorkflow(
        id=f"workflow-{number}", name="report", version="1", definition=payloads.document(4_000, number)
    )


def _rows(numbers: list[int], digests: list[bytes]) -> dict[str, Iterator[tuple[Any, ...]]]:
    document = orjson.dumps({"text": payloads.SENTENCE}).decode()
    waiting = [number for number in numbers if number % WAITING_EVERY == 0]
    each = range(ROWS_EACH)
    return {
        "sessions": (_session_row(number, digests) for number in numbers),
        "states": ((session_id(number), "completed") for number in numbers),
        "nodes": ((session_id(number), f"node-{n}", document, document) for number in numbers for n in each),
        "calls": (
            (_id(number, 1 + n), session_id(number), f"node-{n}", _instant(number), payloads.SENTENCE, document)
            for number in numbers
            for n in each
        ),
        "approvals": ((_id(number, 9), session_id(number), _instant(number)) for number in waiting),
    }


def _session_row(number: int, digests: list[bytes]) -> tuple[Any, ...]:
    workflow = number % WORKFLOWS
    status = "running" if number % WAITING_EVERY == 0 else "completed"
    metadata = orjson.dumps({"user": f"user-{number}"}).decode()
    instant = _instant(number)
    return session_id(number), f"workflow-{workflow}", digests[workflow], status, instant, instant, metadata


def _instant(number: int) -> int:
    return FIRST_INSTANT + number * BETWEEN_SESSIONS


def _id(number: int, kind: int) -> str:
    digits = f"{number:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{kind:012x}"
