"""Rows of several callers, saved in one transaction: one round trip and one flush serve all of them.

That transaction waits for no lock, so that no caller waits for what another one's row is locked by. If it fails, each
row is saved by itself. What fails then is run again by the threads whose transactions may wait.
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
    """Answers requests that save one row each; `hand_over` passes a request on, and raises if it is not accepted."""

    def __init__(self, server: Server, watchdog: Watchdog, owner: Owner, hand_over: Callable[[Request], None]) -> None:
        super().__init__(server, watchdog, owner)
        self._hand_over = hand_over

    def _answer_together(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Save all; if that fails, save one after the other, and hand over those that fail alone.

        Return those that no other thread accepts.
        """
        outcomes = self._saved(requests)
        if outcomes is not None:
            self._owner.free(self)
            deliver(outcomes)
            return ()
        if len(requests) == 1:
            return self._handed_over(requests)
        failed: list[Request] = []
        for request in requests:
            if (outcomes := self._saved([request])) is None:
                failed.append(request)
            else:
                deliver(outcomes)
        return self._handed_over(failed)

    def _saved(self, requests: Sequence[Request]) -> list[Outcome] | None:
        """Claim the requests, and save them in one transaction; None, and none is claimed, if that failed."""
        try:
            connection = self._connect(waits=False)
        except StorageError:
            return None
        jobs: list[Job[Any]] = [job for job in map(job_of, requests) if job.claim()]
        if not jobs:
            return []
        try:
            with connection.interruptible_by(*jobs):
                return self._server.save_together(jobs, connection)
        except StorageError as error:
            for job in jobs:
                job.may_be_stored |= connection.is_in_doubt
            if isinstance(error, NoAnswerError):
                return [Outcome(job, error=error) for job in jobs]
            for job in jobs:
                job.release()
            return None

    def _handed_over(self, requests: Sequence[Request]) -> Sequence[Request]:
        refused: list[Request] = []
        for request in requests:
            try:
                self._hand_over(request)
            except StorageError:  # the adapter is closing
                refused.append(request)
        return refused
