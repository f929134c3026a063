"""Finding single records on the event loop itself, for as long as that proves to be quick.

To hand a search over to a thread and to take its outcome back costs several times what the search does. But it may have
to wait for a disk, and the loop must not. So the loop searches only where few of its operations wait, for a moment
before a thread has its turn, and while records of that kind are found quickly; the thread shows that first. A record
with a large value is the thread's in any case: SQLite refuses to read the value on the loop's connection.
"""

import asyncio
import functools
import sqlite3
from collections.abc import Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

import attrs

from aaow_storage.errors import StorageError
from aaow_storage_sql import FALL_BACK, Call, FallBack, Operation, SQLConnection, Work, count_waiting
from aaow_storage_sqlite._connections import Settings, open_reader
from aaow_storage_sqlite._dialect import is_locked, is_too_large
from aaow_storage_sqlite._fork_locks import Gate
from aaow_storage_sqlite._latency_breaker import Pace, Stopwatch
from aaow_storage_sqlite._store_files import StoreFiles

T = TypeVar("T")

FEW = 8
"""Where as many operations wait, their threads are awake: to join them costs less than to take turns with them."""
MOMENT_S = 0.00025
"""How long the loop searches in one turn, before it goes on with its other tasks."""
LARGEST_VALUE_BYTES = 64 * 1024
"""How large a value is that the loop still reads, decodes and checks: in less than a millisecond."""


class Turn:
    """A turn of one event loop, through all of its tasks that are ready."""

    def __init__(self) -> None:
        self._searched = 0.0
        self._is_ending = False

    def has_time(self) -> bool:
        """Say whether there is time for a search; called on the loop."""
        if self._searched < MOMENT_S:
            return True
        if not self._is_ending:
            self._is_ending = True
            asyncio.get_running_loop().call_soon(self._end)
        return False

    def spend(self, seconds: float) -> None:
        """Take account of a search."""
        self._searched += seconds

    def _end(self) -> None:
        self._searched = 0.0
        self._is_ending = False


class InlineReads:
    """Finds records on the loop, on a connection of its own that waits for no lock."""

    def __init__(self, settings: Settings, files: StoreFiles) -> None:
        self._files = files
        self._gate = Gate(str(settings.location.path))
        self._is_in_use = self._gate.lock
        self._connection = open_reader(attrs.evolve(settings, busy_timeout=0.0))
        self._connection.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE_BYTES)
        self._paces: dict[Hashable, Pace] = {}
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()

    def find(self, kind: Hashable, search: Work[T]) -> T | FallBack:
        """Return what a search of that kind finds, or `FALL_BACK` where a thread is to search.

        Raises:
            StorageError: it cannot be read.
        """
        pace = self._paces.get(kind)
        if pace is None or not pace.is_quick:
            return FALL_BACK
        loop = asyncio.get_running_loop()
        turn = self._turns.get(loop)
        if turn is None:
            turn = self._turns[loop] = Turn()
        if not turn.has_time() or count_waiting(loop) >= FEW or not self._is_in_use.acquire(blocking=False):
            return FALL_BACK
        watch = Stopwatch()
        try:
            with watch:
                self._files.check_now_and_then()
                return search(self._connection)
        except StorageError as error:
            if is_locked(error) or is_too_large(error):
                return FALL_BACK
            raise
        finally:
            self._is_in_use.release()
            turn.spend(watch.lasted)
            pace.note_on_loop(watch)

    def measured(self, call: Call[T]) -> Call[T]:
        """Return the call for a thread; it is timed if calls of its operation are not known to be quick."""
        pace = self._paces.get(call.operation)
        if pace is None:
            pace = self._paces.setdefault(call.operation, Pace())
        if pace.is_quick:
            return call
        return Call(Operation(functools.partial(_timed, call.run, pace), writes=False))

    def stop(self) -> None:
        """Close the connection, when it is not used; and keep it in use, so that no search begins again."""
        self._is_in_use.acquire()
        self._connection.close()


def _timed(search: Work[T], pace: Pace, connection: SQLConnection) -> T:
    watch = Stopwatch()
    try:
        with watch:
            return search(connection)
    finally:
        pace.note_on_thread(watch)
