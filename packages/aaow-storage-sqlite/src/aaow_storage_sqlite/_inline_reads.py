"""Reading single records on the event loop itself, while that is quick.

Handing a read to a thread and taking its outcome back costs several times what the read does. But a read may have to
wait for the disk, and the event loop must not. So the loop reads only if few of its operations wait, within a time
budget for each iteration, and while reads of that kind are quick, which reader threads have to show first. A record
with a large value is always read by a thread: SQLite refuses to read the value on the loop's connection.
"""

import asyncio
import functools
import sqlite3
from collections.abc import Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

from attrs import evolve

from aaow_storage.errors import StorageError
from aaow_storage_sql import FALL_BACK, Call, FallBack, Operation, SQLConnection, Work, count_waiting
from aaow_storage_sqlite._connections import open_reader
from aaow_storage_sqlite._dialect import is_locked, is_too_large
from aaow_storage_sqlite._fork_locks import ForkLock
from aaow_storage_sqlite._latency_breaker import LatencyBreaker, Stopwatch
from aaow_storage_sqlite._schema_watch import SchemaWatch
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._store_files import StoreFiles

T = TypeVar("T")


class LoopBudget:
    """The time that inline reads may take in one iteration of an event loop."""

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._spent_s = 0.0
        self._is_reset_scheduled = False

    def has_time(self) -> bool:
        """Return whether there is time for a read; called on the loop."""
        if self._spent_s < self._budget_s:
            return True
        if not self._is_reset_scheduled:
            self._is_reset_scheduled = True
            asyncio.get_running_loop().call_soon(self._reset)
        return False

    def spend(self, seconds: float) -> None:
        """Record a read."""
        self._spent_s += seconds

    def _reset(self) -> None:
        self._spent_s = 0.0
        self._is_reset_scheduled = False


class InlineReads:
    """Reads records on the event loop, on its own connection that waits for no lock."""

    def __init__(self, settings: Settings, files: StoreFiles, schema: SchemaWatch) -> None:
        self._tuning = settings.tuning
        self._files = files
        self._schema = schema
        self._fork_lock = ForkLock(str(settings.location.path), self._tuning.max_fork_wait_s)
        self._in_use = self._fork_lock.lock
        self._connection = open_reader(evolve(settings, busy_timeout=0.0))
        self._connection.schema = schema
        self._connection.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, self._tuning.max_inline_value_bytes)
        self._breakers: dict[Hashable, LatencyBreaker] = {}
        self._budgets: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopBudget] = WeakKeyDictionary()

    def find(self, kind: Hashable, read: Work[T]) -> T | FallBack:
        """Return the result of a read of that kind, or `FALL_BACK` if a thread has to do it.

        Raises:
            StorageError: the record cannot be read.
        """
        breaker = self._breakers.get(kind)
        if breaker is None or not breaker.allows_inline:
            return FALL_BACK
        loop = asyncio.get_running_loop()
        budget = self._budgets.get(loop)
        if budget is None:
            budget = self._budgets[loop] = LoopBudget(self._tuning.loop_budget_s)
        if (
            not budget.has_time()
            or count_waiting(loop) >= self._tuning.max_inline_waiting
            or not self._in_use.acquire(blocking=False)
        ):
            return FALL_BACK
        watch = Stopwatch()
        try:
            with watch:
                self._files.check_if_due()
                self._schema.check_if_due(self._connection)
                return read(self._connection)
        except StorageError as error:
            if is_locked(error) or is_too_large(error):
                return FALL_BACK
            raise
        finally:
            self._in_use.release()
            budget.spend(watch.elapsed_s)
            breaker.record_on_loop(watch)

    def measured(self, call: Call[T]) -> Call[T]:
        """Return the call for a thread, timed while the breaker needs probes of its operation."""
        breaker = self._breakers.get(call.operation)
        if breaker is None:
            breaker = self._breakers.setdefault(call.operation, LatencyBreaker(self._tuning))
        if breaker.allows_inline:
            return call
        return Call(Operation(functools.partial(_run_timed, call.run, breaker), writes=False))

    def stop(self) -> None:
        """Close the connection once it is not in use, and keep it locked, so that no read begins again."""
        self._in_use.acquire()
        self._connection.close()


def _run_timed(read: Work[T], breaker: LatencyBreaker, connection: SQLConnection) -> T:
    watch = Stopwatch()
    try:
        with watch:
            return read(connection)
    finally:
        breaker.record_on_thread(watch)
