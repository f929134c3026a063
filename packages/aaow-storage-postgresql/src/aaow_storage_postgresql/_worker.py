"""What one thread does: it answers requests on a connection of its own, which it opens again where it is lost."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, StorageError
from aaow_storage_postgresql._connection import NoAnswerError, PostgreSQLConnection, connect
from aaow_storage_postgresql._deadlines import Watchdog
from aaow_storage_postgresql._errors import is_retryable, is_too_many_connections
from aaow_storage_postgresql._in_doubt import InDoubtError
from aaow_storage_postgresql._pipelined_reads import PointRead, fetch_pipelined
from aaow_storage_postgresql._requests import Read, Request, Write, as_storage_error, job_of, refuse
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import InteractiveTransaction, Job, Outcome, SQLConnection, deliver, roll_back

READ = "REPEATABLE READ READ ONLY"
WRITE = "READ COMMITTED"

MAX_ATTEMPTS = 30
MAX_RECONNECTS = 2
_PAUSE_S, _MAX_PAUSE_S = 0.002, 0.1
_MAX_CONNECT_PAUSE_S = 0.05


class TransactionRegistry(Protocol):
    """What knows the transactions that are open."""

    def register(self, transaction: InteractiveTransaction) -> bool:
        """Note that a transaction is open, and say whether it may be."""

    def unregister(self, transaction: InteractiveTransaction) -> None:
        """Note that a transaction is over."""


class Worker:
    """Answers requests, one after the other, on one connection."""

    def __init__(self, settings: Settings, watchdog: Watchdog, registry: TransactionRegistry) -> None:
        self._settings = settings
        self._watchdog = watchdog
        self._registry = registry
        self._connection: PostgreSQLConnection | None = None
        self.current: Sequence[Request] = ()
        """What the thread answers now, set by who has it answered."""

    def answer(self, requests: Sequence[Request]) -> None:
        """Answer the requests, whatever happens; what looks records up is answered before the others."""
        try:
            self._answer_each(self._answer_pipelined(requests))
        except BaseException as error:  # noqa: BLE001 - it is the answer
            self.close()
            for request in requests:
                refuse(request, as_storage_error(error, self._settings.place))

    def close(self) -> None:
        """Close the connection, or forget it where that fails."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(BaseException):  # an error that made this necessary tells more
                connection.close()

    def _answer_each(self, requests: Sequence[Request]) -> None:
        """Answer in turn; where no connection is to be had, that is the answer to all, without more tries."""
        for number, request in enumerate(requests):
            outcome = self._outcome_of(request)
            if outcome is None:
                continue
            deliver([outcome])
            if self._connection is None:
                others = [job for job in map(job_of, requests[number + 1 :]) if job.claim()]
                deliver([Outcome(job, error=outcome.error) for job in others])
                break

    def _answer_pipelined(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Answer what is looked up together; return what is left."""
        reads = [request for request in requests if isinstance(request, PointRead)]
        connection = self._connection
        if len(reads) < 2 or connection is None or connection.is_lost:  # noqa: PLR2004 - one is not together
            return requests
        outcomes = fetch_pipelined(reads, connection)
        if outcomes is None:
            return requests
        deliver(outcomes)
        return [request for request in requests if not isinstance(request, PointRead)]

    def _outcome_of(self, request: Request) -> Outcome | None:
        """Do what is asked; return what came of it where there is a job to be answered with that."""
        job = job_of(request)
        is_taken = False
        tries = losses = 0
        while True:
            try:
                connection = self._connected()
            except StorageError as error:
                if not is_taken and not job.claim():
                    return None
                if isinstance(request, InteractiveTransaction):
                    request.refuse(error)
                    return None
                return Outcome(job, error=error)
            if not is_taken and not job.claim():
                return None
            is_taken = True
            tries += 1
            if isinstance(request, InteractiveTransaction):
                self._lend(request, connection)
                return None
            with connection.interruptible_by(job):
                outcome = self._write(request, connection) if isinstance(request, Write) else _read(request, connection)
                if outcome.error is not None:
                    connection.stop_cancelling()
                    roll_back(connection, outcome.error)
            losses += connection.is_lost
            if not _is_retryable(outcome, connection) or tries >= MAX_ATTEMPTS or losses >= MAX_RECONNECTS:
                return outcome
            if connection.is_lost:
                job.release()  # its task need not wait for a new connection once it is cancelled
                is_taken = False
            else:
                pause = min(_PAUSE_S * 2**tries, _MAX_PAUSE_S)
                time.sleep(random.uniform(0, pause))  # noqa: S311 - not a secret

    def _connected(self) -> PostgreSQLConnection:
        """Return the connection, or a new one where there is none or it is lost.

        Where the server has none left to give, wait until it has, for as long as an operation may wait for one.
        """
        if self._connection is not None and not self._connection.is_lost:
            return self._connection
        self.close()
        deadline = time.monotonic() + self._settings.acquire_timeout
        while True:
            try:
                self._connection = connect(self._settings, self._watchdog)
            except StorageError as error:
                if not is_too_many_connections(error) or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0, _MAX_CONNECT_PAUSE_S))  # noqa: S311 - not a secret
            else:
                return self._connection

    def _write(self, write: Write, connection: PostgreSQLConnection) -> Outcome:
        job = write.job
        try:
            if write.may_be_repeated and self._settings.has_own_sessions:
                attempted = _run_unless_cancelled(job, connection, job.run_fast_path)
                if attempted is not None:
                    return attempted
            connection.begin(WRITE)
            attempted = _run_unless_cancelled(job, connection, job.run_fast_path)
            outcome = attempted or _run_unless_cancelled(job, connection, job.run_work) or Outcome(job)
            if outcome.error is not None:
                return outcome
            if write.may_be_repeated:
                connection.stop_cancelling()
                connection.command("COMMIT")
            else:
                connection.commit()
        except StorageError as error:
            return Outcome(job, error=error)
        return outcome

    def _lend(self, transaction: InteractiveTransaction, connection: PostgreSQLConnection) -> None:
        try:
            with connection.interruptible_by(transaction.opened):
                connection.begin(WRITE, longest=transaction.timeout)
        except StorageError as error:
            transaction.refuse(error)
            roll_back(connection, error)
            return
        if not self._registry.register(transaction):
            roll_back(connection)
            transaction.refuse(AdapterClosedError(CLOSED))
            return
        try:
            deliver([Outcome(transaction.opened)])
            transaction.serve(connection)
        except StorageError as error:
            transaction.abort(connection, error)
        finally:
            self._registry.unregister(transaction)


def _run_unless_cancelled(
    job: Job[Any], connection: PostgreSQLConnection, run: Callable[[SQLConnection], Outcome | None]
) -> Outcome | None:
    """Run a job, or a try at it, unless its task has been cancelled."""
    return Outcome(job, error=asyncio.CancelledError()) if job.is_cancelled else run(connection)


def _read(read: PointRead | Read, connection: PostgreSQLConnection) -> Outcome:
    if isinstance(read, PointRead):  # one statement sees one state without a transaction around it
        return _run_unless_cancelled(read.job, connection, read.job.run_work) or Outcome(read.job)
    try:
        connection.begin(READ)
    except StorageError as error:
        return Outcome(read.job, error=error)
    outcome = _run_unless_cancelled(read.job, connection, read.job.run_work) or Outcome(read.job)
    if outcome.error is None:
        try:
            connection.command("COMMIT")
        except StorageError:  # nothing was changed, so what was read is as good as with it
            connection.discard()
    return outcome


def _is_retryable(outcome: Outcome, connection: PostgreSQLConnection) -> bool:
    if outcome.job.is_cancelled or not isinstance(outcome.error, StorageError):
        return False
    if isinstance(outcome.error, InDoubtError | NoAnswerError):
        return False
    return connection.is_lost or is_retryable(outcome.error)
