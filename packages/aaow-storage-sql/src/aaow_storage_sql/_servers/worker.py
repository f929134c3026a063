"""The work of one thread: it answers requests on its own connection, and reconnects if that is lost."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aaow_storage.authoring import CLOSED
from aaow_storage.errors import AdapterClosedError, ContentionError, StorageError, StoreBusyError
from aaow_storage_sql._servers.connection import NoAnswerError, ServerConnection
from aaow_storage_sql._servers.deadlines import Watchdog
from aaow_storage_sql._servers.in_doubt import InDoubtError
from aaow_storage_sql._servers.meanings import SUCCEEDS_IF_REPEATED, Meaning
from aaow_storage_sql._servers.point_reads import PointRead
from aaow_storage_sql._servers.requests import Request, as_storage_error, job_of, refuse
from aaow_storage_sql._servers.schema_watch import SchemaWatch
from aaow_storage_sql._servers.server import Server
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._threads.interactive_transaction import InteractiveTransaction, roll_back
from aaow_storage_sql._threads.job import Job, Outcome, deliver


class Owner(Protocol):
    """The pool of a worker. It keeps track of open transactions, so that closing the adapter ends them."""

    def register(self, transaction: InteractiveTransaction) -> bool:
        """Add an open transaction; return False if the adapter is closing."""

    def unregister(self, transaction: InteractiveTransaction) -> None:
        """Remove a transaction that has ended."""

    def free(self, worker: "Worker") -> None:
        """Count the requests of a worker as answered; called before the last answer is delivered.

        The caller who gets it may come with the next request at once, for which no second thread is started.
        """


class Worker:
    """Answers requests one after the other on one connection."""

    def __init__(self, server: Server, watchdog: Watchdog, owner: Owner) -> None:
        self._server = server
        self._settings = server.settings
        self._watchdog = watchdog
        self._owner = owner
        self._schema = SchemaWatch(server)
        self._connection: ServerConnection | None = None
        self.current: Sequence[Request] = ()
        """The requests that are being answered; set by the thread."""
        self.load = 0
        """How many of them the pool still counts; see `Owner.free`."""

    def answer(self, requests: Sequence[Request]) -> None:
        """Answer all requests, whatever fails; point reads first."""
        try:
            self._answer_each(self._answer_together(requests))
        except BaseException as error:  # noqa: BLE001 - it is the answer
            self.close()
            for request in requests:
                refuse(request, as_storage_error(error, self._settings.place))

    def close(self) -> None:
        """Close the connection, and drop it even if that fails."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(BaseException):  # the error that led here says more
                connection.close()

    def _answer_each(self, requests: Sequence[Request]) -> None:
        """Answer one by one. If no connection can be opened, that error answers the rest as well."""
        for number, request in enumerate(requests):
            outcome = self._run(request)
            if outcome is None:
                continue
            if number + 1 == len(requests):
                self._owner.free(self)
            deliver([outcome])
            if self._connection is None:
                rest = [job for job in map(job_of, requests[number + 1 :]) if job.claim()]
                deliver([Outcome(job, error=outcome.error) for job in rest])
                break

    def _answer_together(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Answer the point reads together; return the remaining requests."""
        connection = self._connection
        if len(requests) == 1 or connection is None or connection.is_lost:
            return requests
        try:
            self._schema.check_if_due(connection)
        except StorageError:  # each request checks again, and reports it
            return requests
        reads: list[PointRead] = []
        others: list[Request] = []
        for request in requests:
            if isinstance(request, Job) and (lookup := request.call.operation.lookup) is not None:
                reads.append(PointRead(request, lookup, request.call.args[0]))
            else:
                others.append(request)
        outcomes = self._server.read_together(reads, connection) if len(reads) > 1 else None
        if outcomes is None:
            return requests
        if not others:
            self._owner.free(self)
        deliver(outcomes)
        return others

    def _run(self, request: Request) -> Outcome | None:
        """Run one request. Return the outcome to deliver; None if there is none, or it is delivered already."""
        job = job_of(request)
        tuning = self._settings.tuning
        is_claimed = False
        attempts = losses = 0
        while True:
            try:
                connection = self._connect()
            except StorageError as error:
                if not is_claimed and not job.claim():
                    return None
                if isinstance(request, InteractiveTransaction):
                    request.refuse(error)
                    return None
                return Outcome(job, error=error)
            if not is_claimed and not job.claim():
                return None
            is_claimed = True
            attempts += 1
            if isinstance(request, InteractiveTransaction):
                self._serve(request, connection)
                return None
            with connection.interruptible_by(job):
                outcome = self._write(job, connection) if job.call.operation.writes else _read(job, connection)
                if outcome.error is not None:
                    job.may_be_stored |= connection.is_in_doubt
                    connection.stop_cancelling()
                    roll_back(connection, outcome.error)
                    outcome = Outcome(job, error=self._schema.explain(outcome.error, connection))
            losses += connection.is_lost
            is_last = attempts >= tuning.max_attempts or losses >= tuning.max_reconnects
            if not _may_succeed_if_repeated(outcome, connection):
                return outcome
            if is_last:
                return self._given_up(outcome, attempts)
            if connection.is_lost:
                job.release()  # so that a cancelled task does not wait for a new connection
                is_claimed = False
            else:
                time.sleep(tuning.retry_pause_s(attempts))

    def _given_up(self, outcome: Outcome, attempts: int) -> Outcome:
        """Return the outcome of the last attempt. That others were quicker each time is a busy store."""
        if not isinstance(outcome.error, ContentionError):
            return outcome
        problem = f"other transactions changed the same records first, at each of {attempts} attempts; try again"
        busy = StoreBusyError(f"{self._settings.place}: {problem}")
        busy.__cause__ = outcome.error
        return Outcome(outcome.job, error=busy)

    def _connect(self, *, waits: bool = True) -> ServerConnection:
        """Return the connection, on which the store has the schema of this release.

        Without `waits`, raise the error of a server that has no free connection at once.

        Raises:
            SchemaVersionError: another process has migrated the store.
            StorageError: no connection can be opened.
        """
        connection = self._open_if_lost(waits=waits)
        try:
            self._schema.check_if_due(connection)
        except StorageError:
            if not connection.is_lost:
                raise
            connection = self._open_if_lost(waits=waits)
        return connection

    def _open_if_lost(self, *, waits: bool) -> ServerConnection:
        """Return the connection; open a new one if there is none, or it is lost.

        If the server has no free connection, wait for one for up to `acquire_timeout`.
        """
        if self._connection is not None and not (self._connection.is_lost or self._connection.is_closed_by_server):
            return self._connection
        self.close()
        deadline = time.monotonic() + (self._settings.acquire_timeout if waits else 0)
        while True:
            try:
                self._connection = self._server.connect(self._watchdog)
            except StorageError as error:
                is_full = self._server.dialect.meaning(error) is Meaning.TOO_MANY_CONNECTIONS
                if not is_full or time.monotonic() > deadline:
                    raise
                time.sleep(self._settings.tuning.poll_pause_s())
            else:
                return self._connection

    def _write(self, job: Job[Any], connection: ServerConnection) -> Outcome:
        is_idempotent = job.call.operation.is_idempotent
        try:
            if is_idempotent and self._server.may_autocommit and connection.recorder is None:
                with connection.committing():
                    attempted = _run_unless_cancelled(job, connection, job.run_fast_path)
                if attempted is not None:
                    return attempted
            connection.begin_writing()
            connection.may_commit = is_idempotent
            try:
                attempted = _run_unless_cancelled(job, connection, job.run_fast_path)
                outcome = attempted or _run_unless_cancelled(job, connection, job.run) or Outcome(job)
            finally:
                connection.may_commit = False
            if outcome.error is not None:
                return outcome
            if is_idempotent:
                connection.stop_cancelling()
                with connection.committing():
                    connection.command("COMMIT")
            else:
                connection.commit()
        except StorageError as error:
            return Outcome(job, error=error)
        return outcome

    def _serve(self, transaction: InteractiveTransaction, connection: ServerConnection) -> None:
        try:
            with connection.interruptible_by(transaction.opened):
                connection.begin_writing(transaction.timeout)
        except StorageError as error:
            transaction.refuse(error)
            roll_back(connection, error)
            return
        if not self._owner.register(transaction):
            roll_back(connection)
            transaction.refuse(AdapterClosedError(CLOSED))
            return
        try:
            transaction.serve(connection)
        finally:
            self._owner.unregister(transaction)


def _run_unless_cancelled(
    job: Job[Any], connection: ServerConnection, run: Callable[[SQLConnection], Outcome | None]
) -> Outcome | None:
    """Run a job unless its task is cancelled."""
    return Outcome(job, error=asyncio.CancelledError()) if job.is_cancelled else run(connection)


def _read(job: Job[Any], connection: ServerConnection) -> Outcome:
    if job.call.operation.lookup is not None:  # one statement reads one snapshot without a transaction
        return _run_unless_cancelled(job, connection, job.run) or Outcome(job)
    try:
        connection.begin_reading()
    except StorageError as error:
        return Outcome(job, error=error)
    outcome = _run_unless_cancelled(job, connection, job.run) or Outcome(job)
    if outcome.error is None:
        try:
            connection.command("COMMIT")
        except StorageError:  # the transaction only read, so its result is valid without COMMIT
            connection.discard()
    return outcome


def _may_succeed_if_repeated(outcome: Outcome, connection: ServerConnection) -> bool:
    if outcome.job.is_cancelled or not isinstance(outcome.error, StorageError):
        return False
    if isinstance(outcome.error, InDoubtError | NoAnswerError):
        return False
    return connection.is_lost or connection.dialect.meaning(outcome.error) in SUCCEEDS_IF_REPEATED
