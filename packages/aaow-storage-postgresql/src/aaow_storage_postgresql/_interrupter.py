"""Ending early what is run for tasks that have been cancelled."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from aaow_storage_postgresql._deadlines import Deadline
from aaow_storage_sql import Job, Outcome, deliver

CANCEL_TIMEOUT_S = 0.75
"""How long what a cancelled task began may take to end before its connection is cut."""


class Interrupter:
    """Ends what one connection does for some jobs when the tasks of all of them are cancelled.

    The server is asked to cancel the statement that runs. Where that does not end the jobs soon, the connection is cut,
    and the tasks go on: nothing that is not on its way to the server by then gets there.
    """

    def __init__(self, driver_connection: Any, deadline: Deadline | None) -> None:
        self._driver_connection = driver_connection
        self._deadline = deadline
        self._lock = threading.Lock()
        self._cancelling = threading.Lock()
        self._jobs: Sequence[Job[Any]] = ()
        self._may_cancel = False
        self.is_interrupted = False
        """Whether the tasks of all jobs that are answered have been cancelled."""

    @contextmanager
    def interruptible_by(self, jobs: Sequence[Job[Any]], *, cancels: bool) -> Iterator[None]:
        """Hold while the jobs are answered; no statement is cancelled where `cancels` is False."""
        self._jobs, self._may_cancel = jobs, cancels
        for job in jobs:
            job.set_interrupt(lambda: self._interrupt(jobs))
        try:
            if any(job.is_cancelled for job in jobs):  # a task that was cancelled before interrupts nothing itself
                self._interrupt(jobs)
            yield
        finally:
            for job in jobs:
                job.set_interrupt(None)
            self.stop_cancelling()
            with self._lock:
                self._jobs = ()
                if self.is_interrupted and self._deadline is not None:
                    self._deadline.cancel_expiry()
                self.is_interrupted = False

    def stop_cancelling(self) -> None:
        """Let what follows run to its end, or until the connection is cut; requests to cancel have gone out before."""
        with self._lock:
            self._may_cancel = False
            is_interrupted = self.is_interrupted
        if is_interrupted:
            with self._cancelling:
                pass

    def _interrupt(self, jobs: Sequence[Job[Any]]) -> None:
        """End the jobs, if they are answered now; called on an event loop or on the connection's thread."""
        with self._lock:
            if self.is_interrupted or self._jobs is not jobs or not all(job.is_cancelled for job in jobs):
                return
            self.is_interrupted = True
            if self._deadline is not None:
                self._deadline.expire_within(CANCEL_TIMEOUT_S, lambda: _release_tasks(jobs))
            may_cancel = self._may_cancel
        if may_cancel:
            with suppress(RuntimeError):  # there is no thread to be had: the deadline ends the jobs
                threading.Thread(target=self._cancel, args=(jobs,), name="aaow-postgresql-cancel", daemon=True).start()

    def _cancel(self, jobs: Sequence[Job[Any]]) -> None:
        with self._cancelling:
            if self._jobs is not jobs or not self._may_cancel:
                return
            try:
                self._driver_connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)
            except psycopg.Error:  # the server may read the request later, and cancel what runs then
                if self._deadline is not None:
                    self._deadline.expire()


def _release_tasks(jobs: Sequence[Job[Any]]) -> None:
    """Let the tasks go on; later outcomes of their jobs are dropped."""
    deliver([Outcome(job, error=asyncio.CancelledError()) for job in jobs])
