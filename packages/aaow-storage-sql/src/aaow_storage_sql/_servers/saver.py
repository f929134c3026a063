"""Rows of several callers, saved in one transaction: one round trip and one flush serve all of them.

That transaction waits for no lock, so that no caller waits for what another one's row is locked by. If it fails,
each row is saved alone, by the threads whose transactions may wait.
"""

from collections.abc import Callable, Sequence
from typing import Any

from aaow_storage.errors import StorageError
from aaow_storage_sql._servers.connection import NoAnswerError
from aaow_storage_sql._servers.deadlines import Watchdog
from aaow_storage_sql._servers.requests import Request, job_of
from aaow_storage_sql._servers.server import Server
from aaow_storage_sql._servers.worker import Owner, Worker
from aaow_storage_sql._threads.job import Job, Outcome, deliver


class Saver(Worker):
    """Answers requests that save one row each; `hand_over` passes a request on, and raises if nobody accepts it."""

    def __init__(self, server: Server, watchdog: Watchdog, owner: Owner, hand_over: Callable[[Request], None]) -> None:
        super().__init__(server, watchdog, owner)
        self._hand_over = hand_over

    def _answer_together(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Save all, or hand all over; return those that nobody else accepts."""
        try:
            connection = self._connect(waits=False)
        except StorageError:
            return self._handed_over(requests)
        jobs: list[Job[Any]] = [job for job in map(job_of, requests) if job.claim()]
        try:
            with connection.interruptible_by(*jobs):
                outcomes = self._server.save_together(jobs, connection)
        except NoAnswerError as error:
            outcomes = [Outcome(job, error=error) for job in jobs]
        except StorageError:
            for job in jobs:
                job.release()
            return self._handed_over(jobs)
        self._owner.free(self)
        deliver(outcomes)
        return ()

    def _handed_over(self, requests: Sequence[Request]) -> Sequence[Request]:
        refused: list[Request] = []
        for request in requests:
            try:
                self._hand_over(request)
            except StorageError:  # the adapter is closing
                refused.append(request)
        return refused
