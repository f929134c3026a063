"""The MariaDB backend beside bare PyMySQL: threads with a connection each, as many as there are callers."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import orjson
import pymysql
from attrs import frozen

from aaow_storage import Session, create_adapter
from aaow_storage_mariadb.testing import Server, private_server
from benchmarks import baselines, cases, payloads
from benchmarks.cases import Case
from benchmarks.in_threads import run_in_threads
from benchmarks.measuring import BareOperation, Run, run_callers
from benchmarks.payloads import RECORDS
from benchmarks.results import Ratio
from benchmarks.rounds import Pair, ratio_of

SAVE_LLM_EXECUTION = """
INSERT INTO llm_executions (id, session_id, node_id, timestamp, success, prompt_tokens, completion_tokens, total_tokens,
    error, text, tool_calls, metadata)
VALUES (%s, %s, %s, %s, 1, %s, %s, %s, NULL, %s, NULL, %s)
ON DUPLICATE KEY UPDATE node_id = VALUES(node_id), timestamp = VALUES(timestamp), success = VALUES(success),
    prompt_tokens = VALUES(prompt_tokens), completion_tokens = VALUES(completion_tokens),
    total_tokens = VALUES(total_tokens), error = VALUES(error), text = VALUES(text),
    tool_calls = VALUES(tool_calls), metadata = VALUES(metadata)
"""
READ_SESSION = baselines.READ_SESSION.replace("?", "%s")


@frozen
class Bare:
    """An operation of the adapter's, and the same with PyMySQL alone."""

    case: Case
    baseline: Callable[["pymysql.Connection[Any]"], BareOperation]


def save_llm_execution(connection: "pymysql.Connection[Any]") -> BareOperation:
    """Insert a model call of one session, which the server commits by itself."""
    cursor = connection.cursor()

    def save(number: int) -> None:
        usage = 900 + number % 100
        made = f"{time.perf_counter_ns()}-{threading.get_ident()}"
        values = (made, cases.FIRST_SESSION, "fetch", time.time_ns() // 1000, usage, 80)
        metadata = orjson.dumps(payloads.MESSAGES).decode()
        cursor.execute(SAVE_LLM_EXECUTION, (*values, usage + 80, payloads.SENTENCE, metadata))

    return save


def get_session(connection: "pymysql.Connection[Any]") -> BareOperation:
    """Read one of hundreds of sessions, decode its JSON and make the record."""
    cursor = connection.cursor()

    def get(number: int) -> Session:
        cursor.execute(READ_SESSION, (f"session-{number % RECORDS:07}",))
        row = cursor.fetchone()
        assert row is not None
        return baselines.session_of(row, orjson.loads(row[-1]))

    return get


TARGETS = {1: 0.6, 32: 0.75}
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
    Bare(Case("get_session", cases.hundreds, cases.get_session, baselines.get_session, 6000, {}), get_session),
)


def flushing_server() -> AbstractContextManager[Server]:
    """Hold a private server that flushes every commit, on the disk."""
    return private_server(settings={"innodb-flush-log-at-trx-commit": "1"})


def on_mariadb(
    server: Server, *, callers: Sequence[int], rounds: int, share: float, only: str = "", driver: str = "pymysql"
) -> Iterator[Ratio]:
    """Yield the ratios, each in a database of its own; the adapter uses that driver."""
    for number, bare in enumerate(each for each in COMPARED if only in each.case.name):
        name = f"bench_{number}"
        server.create_database(name)
        asyncio.run(_fill(bare.case, server.url(name)))
        operations = max(1, round(bare.case.operations * share))
        for count in callers:
            pairs = [_pair(bare, server.url(name), driver, max(operations, 2 * count), count) for _ in range(rounds)]
            yield ratio_of(bare.case, "FULL", count, pairs)


def _pair(bare: Bare, url: str, driver: str, operations: int, callers: int) -> Pair:
    baseline = run_in_threads(lambda: _connect(url), bare.baseline, operations, callers)
    ours = asyncio.run(_through_adapter(bare.case, url, driver, operations, callers))
    return Pair(baseline, ours, 0, 0)


def _connect(url: str) -> "pymysql.Connection[Any]":
    """Return a connection on which each statement is committed."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 0,
        user=parts.username,
        password=parts.password or "",
        database=parts.path[1:],
        autocommit=True,
        charset="utf8mb4",
    )


async def _fill(case: Case, url: str) -> None:
    async with create_adapter("mariadb", url) as storage:
        await case.fill(storage)


async def _through_adapter(case: Case, url: str, driver: str, operations: int, callers: int) -> Run:
    async with create_adapter("mariadb", url, driver=driver) as storage:
        operation = case.ours(storage)
        await asyncio.gather(*(operation(0) for _ in range(callers)))
        return await run_callers(operation, operations, callers)
