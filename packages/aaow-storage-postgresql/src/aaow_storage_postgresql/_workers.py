"""The threads that run operations, each on a connection of its own, as many as are needed at once."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_postgresql._commits import InDoubtError
from aaow_storage_postgresql._connections import PostgreSQLConnection, connect
from aaow_storage_postgresql._errors import has_no_room, is_unsteady
from aaow_storage_postgresql._finding import Find, found
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import Inbox, Job, LentTransaction, Outcome, SQLConnection, deliver, roll_back

READ = "REPEATABLE READ READ ONLY"
WRITE = "READ COMMITTED"

MOST_TRIES = 30
MOST_LOSSES = 2
_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1
_UNTIL_THERE_IS_ROOM_S = 0.05


@attrs.frozen(eq=False)
class Read:
    """A job that only reads."""

    job: Job[Any]


@attrs.frozen(eq=False)
class Write:
    """A job that writes; one that may be repeated comes to the same when it is run twice."""

    job: Job[Any]
    may_be_repeated: bool


Request = Find | Read | Write | LentTransaction


class Workers:
    """Starts another thread when all are busy, up to that many.

    Each takes up to `at_once` of the requests that wait. Those that look records up are answered before the others.
    """

    def __init__(self, settings: Settings, name: str, most: int, *, at_once: int = 1) -> None:
        self._settings = settings
        self._name = name
        self._most = most
        self._at_once = at_once
        self._inbox: Inbox[Request] = Inbox()
        self._lock = threading.Lock()
        self._load = 0
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lent: set[LentTransaction] = set()

    def put(self, request: Request) -> None:
        """Accept a request.

        Raises:
            AdapterClosedError: the workers are stopping.
        """
        with self._lock:
            self._inbox.put(request)
            self._load += 1
            if self._load > len(self._threads) < self._most:
                name = f"aaow-{self._name}-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
                self._threads[-1].start()

    def stop(self) -> None:
        """Finish what was accepted, roll back open transactions, and close the connections. Blocks until done."""
        with self._lock:
            self._stopping.set()
            self._inbox.close(readers=len(self._threads))
            for transaction in self._lent:
                transaction.end_with_adapter()
        for thread in self._threads:
            thread.join()

    def stop_unused(self) -> None:
        """Let the threads end, since nothing can be asked for any more; takes no lock and waits for nothing."""
        self._stopping.set()
        self._inbox.close_unused(readers=len(self._threads))
        for transaction in list(self._lent):
            transaction.end_with_adapter()

    def _run(self) -> None:
        connection: PostgreSQLConnection | None = None
        while requests := self._inbox.take(self._at_once):
            connection = self._answer_each(self._not_found_together(requests, connection), connection)
            with self._lock:
                self._load -= len(requests)
        _close(connection)

    def _answer_each(
        self, requests: Sequence[Request], connection: PostgreSQLConnection | None
    ) -> PostgreSQLConnection | None:
        """Answer in turn; where no connection is to be had, all hear of that, and none waits for another try."""
        for number, request in enumerate(requests):
            connection, outcome = self._answer(request, connection)
            if outcome is None:
                continue
            deliver([outcome])
            if connection is None:
                others = [job for job in map(_job_of, requests[number + 1 :]) if job.take()]
                deliver([Outcome(job, error=outcome.error) for job in others])
                break
        return connection

    def _not_found_together(
        self, requests: Sequence[Request], connection: PostgreSQLConnection | None
    ) -> Sequence[Request]:
        """Answer what is looked up together; return what is left."""
        finds = [request for request in requests if isinstance(request, Find)]
        if len(finds) < 2 or connection is None or connection.is_lost:  # noqa: PLR2004 - one is not together
            return requests
        outcomes = found(finds, connection)
        if outcomes is None:
            return requests
        deliver(outcomes)
        return [request for request in requests if not isinstance(request, Find)]

    def _answer(
        self, request: Request, connection: PostgreSQLConnection | None
    ) -> tuple[PostgreSQLConnection | None, Outcome | None]:
        """Do what is asked; return the connection to do the next with, and what came of it where that is to be told."""
        job = _job_of(request)
        tries = losses = 0
        while True:
            try:
                connection = self._connected(connection)
            except StorageError as error:
                if not tries and not job.take():
                    return None, None
                if isinstance(request, LentTransaction):
                    request.refuse(error)
                    return None, None
                return None, Outcome(job, error=error)
            if not tries and not job.take():
                return connection, None
            tries += 1
            if isinstance(request, LentTransaction):
                self._lend(request, connection)
                return connection, None
            outcome = self._write(request, connection) if isinstance(request, Write) else _read(request, connection)
            losses += connection.is_lost
            if not _is_to_be_run_again(outcome, connection) or tries >= MOST_TRIES or losses >= MOST_LOSSES:
                return connection, outcome
            if not connection.is_lost:
                pause = min(_PAUSE_S * 2**tries, _LONGEST_PAUSE_S)
                time.sleep(random.uniform(0, pause))  # noqa: S311 - not a secret

    def _connected(self, connection: PostgreSQLConnection | None) -> PostgreSQLConnection:
        """Return the connection, or a new one where there is none or it is lost.

        Where the server has none left to give, wait until it has, for as long as an operation may wait for one.
        """
        if connection is not None and not connection.is_lost:
            return connection
        _close(connection)
        deadline = time.monotonic() + self._settings.acquire_timeout
        while True:
            try:
                return connect(self._settings)
            except StorageError as error:
                if not has_no_room(error) or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0, _UNTIL_THERE_IS_ROOM_S))  # noqa: S311 - not a secret

    def _write(self, write: Write, connection: PostgreSQLConnection) -> Outcome:
        job = write.job
        try:
            if write.may_be_repeated and self._settings.holds_sessions:
                attempted = _answered(job, connection, job.attempted_on)
                if attempted is not None:
                    return attempted
            connection.begin(WRITE)
            attempted = _answered(job, connection, job.attempted_on)
            outcome = attempted or _answered(job, connection, job.outcome_on) or Outcome(job)
            if outcome.error is not None:
                roll_back(connection, outcome.error)
            elif write.may_be_repeated:
                connection.command("COMMIT")
            else:
                connection.commit()
        except StorageError as error:
            roll_back(connection, error)
            return Outcome(job, error=error)
        return outcome

    def _lend(self, transaction: LentTransaction, connection: PostgreSQLConnection) -> None:
        try:
            connection.begin(WRITE, longest=transaction.timeout)
        except StorageError as error:
            transaction.refuse(error)
            return
        with self._lock:
            is_stopping = self._stopping.is_set()
            if not is_stopping:
                self._lent.add(transaction)
        if is_stopping:
            roll_back(connection)
            transaction.refuse(AdapterClosedError("the adapter is closed"))
            return
        deliver([Outcome(transaction.opened)])
        try:
            transaction.serve(connection)
        except StorageError as error:
            transaction.break_down(connection, error)
        with self._lock:
            self._lent.discard(transaction)


def _close(connection: PostgreSQLConnection | None) -> None:
    if connection is not None:
        connection.close()


def _job_of(request: Request) -> Job[Any]:
    return request.opened if isinstance(request, LentTransaction) else request.job


def _answered(
    job: Job[Any], connection: PostgreSQLConnection, run: Callable[[SQLConnection], Outcome | None]
) -> Outcome | None:
    """Run a job, or a try at it, unless its task has been cancelled; it is interrupted when that happens meanwhile."""
    with connection.answering(job):
        return Outcome(job, error=asyncio.CancelledError()) if job.is_abandoned else run(connection)


def _read(read: Find | Read, connection: PostgreSQLConnection) -> Outcome:
    if isinstance(read, Find):  # one statement sees one state without a transaction around it
        return _answered(read.job, connection, read.job.outcome_on) or Outcome(read.job)
    try:
        connection.begin(READ)
    except StorageError as error:
        roll_back(connection, error)
        return Outcome(read.job, error=error)
    outcome = _answered(read.job, connection, read.job.outcome_on) or Outcome(read.job)
    if outcome.error is not None:
        roll_back(connection, outcome.error)
        return outcome
    try:
        connection.command("COMMIT")
    except StorageError:  # nothing was changed, so what was read is as good as with it
        connection.discard()
    return outcome


def _is_to_be_run_again(outcome: Outcome, connection: PostgreSQLConnection) -> bool:
    if isinstance(outcome.error, InDoubtError) or not isinstance(outcome.error, StorageError):
        return False
    return connection.is_lost or is_unsteady(outcome.error)
