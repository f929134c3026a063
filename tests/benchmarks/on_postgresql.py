"""The PostgreSQL backend beside bare psycopg: threads with a connection each, as many as there are callers."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import orjson
import psycopg
from attrs import frozen

from aaow_storage import Session, create_adapter, now
from aaow_storage_postgresql.testing import Server, private_server
from benchmarks import baselines, cases, payloads
from benchmarks.cases import Case
from benchmarks.in_threads import run_in_threads
from benchmarks.measuring import BareOperation, Run, run_callers
from benchmarks.payloads import RECORDS
from benchmarks.results import Ratio
from benchmarks.rounds import Pair, ratio_of

POOL_SIZE = 16
SAVE_LLM_EXECUTION = baselines.SAVE_LLM_EXECUTION.replace("?", "%s").replace("%s, 1, %s", "%s, true, %s")
READ_SESSION = baselines.READ_SESSION.replace("?", "%s")


@frozen
class Bare:
    """An operation of the adapter's, and the same with psycopg alone."""

    case: Case
    baseline: Callable[["psycopg.Connection[tuple[Any, ...]]"], BareOperation]


def save_llm_execution(connection: "psycopg.Connection[tuple[Any, ...]]") -> BareOperation:
    """Insert a model call of one session, and commit."""

    def save(number: int) -> None:
        usage = 900 + number % 100
        values = (f"{time.perf_counter_ns()}-{threading.get_ident()}", cases.FIRST_SESSION, "fetch", now(), usage, 80)
        metadata = orjson.dumps(payloads.MESSAGES).decode()
        connection.execute(SAVE_LLM_EXECUTION, (*values, usage + 80, payloads.SENTENCE, metadata))
        connection.commit()

    return save


def get_session(connection: "psycopg.Connection[tuple[Any, ...]]") -> BareOperation:
    """Read one of hundreds of sessions, decode its JSON and make the record."""
    connection.autocommit = True

    def get(number: int) -> object:
        row = connection.execute(READ_SESSION, (f"session-{number % RECORDS:07}",)).fetchone()
        assert row is not None
        metadata = None if row[6] is None else orjson.loads(str(row[6]))
        names = ("id", "workflow_id", "status", "parent_session_id", "created_at", "updated_at")
        return Session(
            **dict(zip(names, row, strict=False)), metadata=metadata, workflow_snapshot=orjson.loads(str(row[8]))
        )

    return get


TARGETS = {1: 0.5, 32: 0.7}
COMPARED = (
    Bare(
        Case(
            "save_llm_execution",
            cases.one_session,
            cases.save_llm_execution,
            baselines.save_llm_execution,
            3000,
            TARGETS,
        ),
        save_llm_execution,
    ),
    Bare(Case("get_session", cases.hundreds, cases.get_session, baselines.get_session, 6000, TARGETS), get_session),
)


def flushing_server() -> AbstractContextManager[Server]:
    """Hold a private server that flushes every commit."""
    return private_server(settings={"fsync": "on", "full_page_writes": "on"})


def on_postgresql(
    server: Server, *, callers: Sequence[int], rounds: int, share: float, only: str = ""
) -> Iterator[Ratio]:
    """Yield the ratios, each in a database of its own."""
    for number, bare in enumerate(each for each in COMPARED if only in each.case.name):
        server.create_database(f"bench_{number}")
        url = server.url(f"bench_{number}")
        asyncio.run(_fill(bare.case, url))
        operations = max(1, round(bare.case.operations * share))
        for count in callers:
            pairs = [_pair(bare, url, max(operations, 2 * count), count) for _ in range(rounds)]
            yield ratio_of(bare.case, "FULL", count, pairs)


def _pair(bare: Bare, url: str, operations: int, callers: int) -> Pair:
    baseline = run_in_threads(lambda: psycopg.connect(url), bare.baseline, operations, callers)
    ours = asyncio.run(_through_adapter(bare.case, url, operations, callers))
    return Pair(baseline, ours, 0, 0)


async def _fill(case: Case, url: str) -> None:
    async with create_adapter("postgresql", url) as storage:
        await case.fill(storage)


async def _through_adapter(case: Case, url: str, operations: int, callers: int) -> Run:
    async with create_adapter("postgresql", url, pool_size=POOL_SIZE) as storage:
        operation = case.ours(storage)
        await asyncio.gather(*(operation(0) for _ in range(callers)))
        return await run_callers(operation, operations, callers)
