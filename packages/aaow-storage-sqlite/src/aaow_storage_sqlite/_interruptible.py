"""Ending a statement early when the task that waits for it has been cancelled."""

import asyncio
import sqlite3
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from aaow_storage_sql import Job, SQLConnection

AGAIN_S = 0.05


class InterruptibleConnection(SQLConnection):
    """A connection whose statement is interrupted where it answers one job that only reads, and its task is cancelled.

    A statement that writes runs to its end: SQLite would roll the whole transaction back, and with it the work of
    others.
    """

    def __init__(self, driver_connection: Any, dialect: Any) -> None:
        super().__init__(driver_connection, dialect)
        self._answered = _Answered(self)

    def interruptible_by(self, *jobs: Job[Any], cancels: bool = True) -> AbstractContextManager[None]:
        """Let one job that only reads be interrupted, and nothing behind it."""
        if not cancels or len(jobs) != 1 or jobs[0].call.operation.writes:
            return nullcontext()
        self._answered.job = jobs[0]
        return self._answered

    @property
    def is_interrupted(self) -> bool:
        """Whether the task of the job that is answered has been cancelled."""
        job = self._answered.job
        return job is not None and job.is_cancelled


class _Answered(AbstractContextManager[None]):
    """The job that a connection answers now."""

    def __init__(self, connection: SQLConnection) -> None:
        self.job: Job[Any] | None = None
        self._connection = connection
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
        """Interrupt the statement, and again as long as that job has its turn; called on an event loop.

        An interrupt that comes before the statement begins, or between two of them, has no effect.
        """
        with self._lock, suppress(sqlite3.ProgrammingError):  # the connection is closed
            if self.job is None or not self.job.is_cancelled:
                return
            self._connection.driver_connection.interrupt()
        asyncio.get_running_loop().call_later(AGAIN_S, self._interrupt)
