"""Interrupting a SQLite statement when the task that waits for it is cancelled."""

import asyncio
import sqlite3
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from aaow_storage_sql import Job, SQLConnection


class InterruptibleConnection(SQLConnection):
    """A connection that interrupts the statement of a single, read-only job once the job's task is cancelled.

    A statement that writes runs to its end: SQLite would roll back the whole transaction, with the work of other jobs.
    """

    def __init__(self, driver_connection: Any, dialect: Any, interrupt_interval_s: float) -> None:
        super().__init__(driver_connection, dialect)
        self._interruptible = _Interruptible(self, interrupt_interval_s)

    def interruptible_by(self, *jobs: Job[Any], cancels: bool = True) -> AbstractContextManager[None]:
        """Return a block in which a single job may be interrupted, if it only reads; never a later job."""
        if not cancels or len(jobs) != 1 or jobs[0].call.operation.writes:
            return nullcontext()
        self._interruptible.job = jobs[0]
        return self._interruptible

    @property
    def is_interrupted(self) -> bool:
        """Whether the task of the current job has been cancelled."""
        job = self._interruptible.job
        return job is not None and job.is_cancelled


class _Interruptible(AbstractContextManager[None]):
    """The block in which a connection runs one job."""

    def __init__(self, connection: SQLConnection, interval_s: float) -> None:
        self.job: Job[Any] | None = None
        self._connection = connection
        self._interval_s = interval_s
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self.job is not None:
            self.job.set_interrupt(self._interrupt)

    def __exit__(self, *_: object) -> None:
        job = self.job
        with self._lock:
            self.job = None
        if job is not None:
            job.set_interrupt(None)

    def _interrupt(self) -> None:
        """Interrupt the statement, repeatedly until the job ends; called on an event loop.

        An interrupt that comes before a statement begins, or between two statements, has no effect.
        """
        with self._lock, suppress(sqlite3.ProgrammingError):  # the connection is closed
            if self.job is None or not self.job.is_cancelled:
                return
            self._connection.driver_connection.interrupt()
        asyncio.get_running_loop().call_later(self._interval_s, self._interrupt)
