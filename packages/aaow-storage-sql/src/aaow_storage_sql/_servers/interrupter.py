"""Cancellation: ends a running statement once all tasks that wait for it are cancelled."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from aaow_storage.errors import StorageError
from aaow_storage_sql._servers.deadlines import Deadline
from aaow_storage_sql._threads.job import Job, Outcome, deliver


class Interrupter:
    """Ends what one connection runs for some jobs, once the tasks of all of them are cancelled.

    It calls `cancel`, which asks the server to end the statement, and raises a StorageError if the server does not
    confirm that within so many seconds. If the jobs have not ended `cancel_timeout_s` later, it shuts the socket down
    and releases the tasks: nothing that is not sent by then reaches the server.
    """

    def __init__(self, cancel: Callable[[float], None], deadline: Deadline | None, cancel_timeout_s: float) -> None:
        self._send_cancel = cancel
        self._deadline = deadline
        self._cancel_timeout_s = cancel_timeout_s
        self._lock = threading.Lock()
        self._cancelling = threading.Lock()
        """Held while a cancel request is sent."""
        self._jobs: Sequence[Job[Any]] = ()
        self._may_cancel = False
        self.is_interrupted = False
        """Whether the tasks of all current jobs are cancelled."""

    @contextmanager
    def interruptible_by(self, jobs: Sequence[Job[Any]], *, cancels: bool) -> Iterator[None]:
        """Make these the current jobs inside the block; send no cancel request if `cancels` is False."""
        self._jobs, self._may_cancel = jobs, cancels
        for job in jobs:
            job.set_interrupt(lambda: self._interrupt(jobs))
        try:
            if any(job.is_cancelled for job in jobs):  # a task that was cancelled earlier does not call `_interrupt`
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
        """Send no cancel request from now on; wait for one that is being sent."""
        with self._lock:
            self._may_cancel = False
            is_interrupted = self.is_interrupted
        if is_interrupted:
            with self._cancelling:
                pass

    def _interrupt(self, jobs: Sequence[Job[Any]]) -> None:
        """End the jobs if they are current; called on an event loop or on the connection's thread."""
        with self._lock:
            if self.is_interrupted or self._jobs is not jobs or not all(job.is_cancelled for job in jobs):
                return
            self.is_interrupted = True
            if self._deadline is not None:
                self._deadline.expire_within(self._cancel_timeout_s, lambda: _release_tasks(jobs))
            may_cancel = self._may_cancel
        if may_cancel:
            with suppress(RuntimeError):  # no thread can be started; the deadline ends the jobs
                threading.Thread(target=self._cancel, args=(jobs,), name="aaow-cancel", daemon=True).start()

    def _cancel(self, jobs: Sequence[Job[Any]]) -> None:
        with self._cancelling:
            if self._jobs is not jobs or not self._may_cancel:
                return
            try:
                self._send_cancel(self._cancel_timeout_s)
            except StorageError:  # the server may read the request later, and would cancel another statement
                if self._deadline is not None:
                    self._deadline.expire()


def _release_tasks(jobs: Sequence[Job[Any]]) -> None:
    """Resume the cancelled tasks; outcomes that come later are dropped."""
    deliver([Outcome(job, error=asyncio.CancelledError()) for job in jobs])
