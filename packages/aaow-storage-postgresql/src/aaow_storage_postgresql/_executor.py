"""PostgreSQL's executor: workers with a connection each, and the schema brought up to date before they start."""

import asyncio
import functools
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from aaow_storage.authoring import given_up_after_fork, run_all
from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_postgresql._deadlines import Watch
from aaow_storage_postgresql._dialect import PostgreSQLDialect
from aaow_storage_postgresql._durability import report_durability
from aaow_storage_postgresql._indexes import build_indexes
from aaow_storage_postgresql._opening import connected
from aaow_storage_postgresql._pipelined_reads import Find
from aaow_storage_postgresql._requests import Read, Request, Write
from aaow_storage_postgresql._search_path import with_schema
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import bring_up_to_date
from aaow_storage_postgresql._worker_pool import Workers, stop
from aaow_storage_sql import Job, LentTransaction, Lookup, Opening, Outcome, ThreadedExecutor, Work

T = TypeVar("T")

READERS_SHARE = 4
"""Every so many of the connections, one is for reading alone: who reads never waits behind who waits for a lock.

The first of these is for looking single records up; where there is no second, it is for all that only reads.
"""
FOUND_AT_ONCE = 32


class PostgreSQLExecutor(ThreadedExecutor):
    """Runs work on the threads of one adapter."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._finder: Workers | None = None
        self._readers: Workers | None = None
        self._writers: Workers | None = None
        self._watch = Watch("aaow-postgresql-watch")

    def meant_by(self, error: Exception) -> StorageError:
        return PostgreSQLDialect(self._settings.place, self._settings.schema).meant_by(error)

    async def find(self, lookup: Lookup[T], id: str) -> T | None:
        job = Job(lambda connection: lookup(connection, id))
        return await self._answer(self._finder, Find(job, lookup, id), job)

    async def read(self, work: Work[T], *, kind: Hashable | None = None) -> T:
        del kind  # it is a thread's in any case
        job = Job(work)
        return await self._answer(self._readers, Read(job), job)

    async def write(self, work: Work[T], *, attempt: Work[Any] | None = None, may_be_repeated: bool = False) -> T:
        job = Job(work, attempt=attempt)
        waiting = self._put(self._writers, Write(job, may_be_repeated), job)
        try:
            return await job.settled_result()
        finally:
            waiting.cancel()

    async def begin(self, timeout: float) -> LentTransaction:  # noqa: ASYNC109 - how long it may stay open
        transaction = given_up_after_fork(LentTransaction(timeout))
        waiting = self._put(self._writers, transaction, transaction.opened)
        try:
            await transaction.opened.result()
        except BaseException:
            transaction.abandon()
            raise
        finally:
            waiting.cancel()
        return transaction

    async def _answer(self, workers: Workers | None, request: Find | Read, job: Job[T]) -> T:
        waiting = self._put(workers, request, job)
        try:
            return await job.result()
        finally:
            waiting.cancel()

    def _put(self, workers: Workers | None, request: Request, job: Job[Any]) -> asyncio.TimerHandle:
        """Hand a request to the workers; the timer that is returned ends the wait for one of them."""
        if workers is None:
            raise self._not_open()
        workers.put(request)
        return asyncio.get_running_loop().call_later(self._settings.acquire_timeout, self._give_up, job)

    def _give_up(self, job: Job[Any]) -> None:
        if job.take():
            size, patience = self._settings.pool_size, self._settings.acquire_timeout
            remedy = "try again, or raise pool_size or acquire_timeout"
            problem = f"all of the {size} connections were busy for {patience:g} s; {remedy}"
            job.settle(Outcome(job, error=StorageUnavailableError(f"{self._settings.place}: {problem}")))

    @property
    def is_open(self) -> bool:
        return self._writers is not None

    def open(self, opening: Opening, *, migrate: bool) -> None:
        watch = Watch("aaow-postgresql-watch")
        try:
            settings = self._brought_up_to_date(opening, watch, migrate=migrate)
        except BaseException:
            watch.stop()
            raise
        readers = max(1, self._settings.pool_size // READERS_SHARE)
        writers = max(1, self._settings.pool_size - readers)
        self._watch = watch
        self._finder = Workers(settings, watch, "postgresql-finder", 1, at_once=FOUND_AT_ONCE)
        self._readers = self._finder
        if readers > 1:
            self._readers = Workers(settings, watch, "postgresql-reader", readers - 1)
        self._writers = Workers(settings, watch, "postgresql-writer", writers)

    def _brought_up_to_date(self, opening: Opening, watch: Watch, *, migrate: bool) -> Settings:
        """Bring the store up to date, and return the settings with the schema that it is in."""
        with connected(self._settings, opening, watch) as connection:
            settings = with_schema(self._settings, connection)
            connection.adopt(settings)
            bring_up_to_date(connection, settings, migrate=migrate, opening=opening)
            if migrate:
                build_indexes(connection, settings, opening)
            report_durability(connection, settings)
        return settings

    def shut(self) -> None:
        try:
            stop(self._all_workers(), self._watch, self._settings.closes_within)
        finally:
            self._finder = self._readers = self._writers = None

    @property
    def place(self) -> str:
        return self._settings.place

    def releasing(self) -> Callable[[], None]:
        return functools.partial(_release, self._all_workers(), self._watch)

    def give_up(self) -> None:
        self._finder = self._readers = self._writers = None

    def _all_workers(self) -> list[Workers]:
        each = dict.fromkeys((self._finder, self._readers, self._writers))
        return [workers for workers in each if workers is not None]


def _release(all_workers: list[Workers], watch: Watch) -> None:
    run_all(*(workers.stop_unused for workers in all_workers), watch.stop)
