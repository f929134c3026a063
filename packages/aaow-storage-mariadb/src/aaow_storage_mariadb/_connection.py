"""One connection to a MariaDB server."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from aaow_storage.authoring import storage_errors_alone
from aaow_storage.errors import ContentionError, StorageError, ValidationError
from aaow_storage_mariadb._dialect import MariaDBDialect
from aaow_storage_mariadb._drivers.driver import NOT_SENT, Answer, DriverConnection
from aaow_storage_mariadb._feed_statements import STORE_AFTER_UPSERT, STORE_FOR_SURE, feed_values
from aaow_storage_mariadb._literals import with_values
from aaow_storage_mariadb._settings import Settings
from aaow_storage_sql import CommitQuestion, Job, Outcome, Parameters, Row, ServerConnection, ServerSettings, Watchdog

_START_WRITING = "START TRANSACTION"
_START_READING = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_PACKET_MARGIN = 64 * 1024
"""For what is sent together with a statement."""
_MAX_BYTES_A_CHARACTER = 4
_MAX_SECONDS = 31_536_000


class MariaDBConnection(ServerConnection):
    """One connection of a driver. The server commits each statement outside of a transaction by itself.

    After an error that ended the transaction it is rolled back here at once, because the answer to a failed statement
    does not say whether a transaction is open.
    """

    def __init__(
        self,
        driver_connection: DriverConnection,
        settings: Settings,
        dialect: MariaDBDialect,
        watchdog: Watchdog | None = None,
        *,
        reconnect: "Callable[[], MariaDBConnection]",
        kill: Callable[[int, float], None],
        max_packet: int,
        is_node: bool,
    ) -> None:
        super().__init__(driver_connection, settings, dialect, watchdog, reconnect=reconnect)
        self._kill = kill
        self._max_query = max_packet - _PACKET_MARGIN
        self._is_node = is_node
        """Whether the server is a node of a Galera cluster, where another node may abort a transaction at any time."""
        self._isolation = ""
        self._default_limit_s = math.inf if settings.statement_timeout is None else settings.statement_timeout
        self._statement_limit_s = self._default_limit_s
        self._waits_for_locks: bool | None = True
        """None if that is not known."""
        self._waiting: list[str] = []
        """What is sent with the next statement: a round trip costs as much as a small statement."""
        self._saves: list[str] | None = None
        """What `save_together` commits; None if each save is sent alone."""
        self._gathers = False

    @property
    def socket_descriptor(self) -> int:
        descriptor: int = self.driver_connection.descriptor
        return descriptor

    @property
    def is_closed(self) -> bool:
        return not self.driver_connection.open

    def send_cancel(self, timeout_s: float) -> None:
        with storage_errors_alone(self.dialect.to_storage_error):
            self._kill(self.driver_connection.thread_id(), timeout_s)

    def prepare_commit(self) -> CommitQuestion | None:
        if not super().is_in_transaction:
            return None
        self._gathers = True
        try:
            return super().prepare_commit()
        finally:
            self._gathers = False

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, or begins with the next statement."""
        return bool(self._waiting) or super().is_in_transaction

    def begin_transaction(self, *, writes: bool, max_statement_s: float = math.inf) -> None:
        isolation = "READ COMMITTED" if writes else "REPEATABLE READ"
        limit_s = min(self._default_limit_s, max_statement_s)
        waits = self._saves is None
        if self._isolation != isolation:
            self._waiting.append(f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}")
        if self._statement_limit_s != limit_s:
            self._waiting.append(f"SET SESSION max_statement_time = {server_seconds(limit_s)}")
        if self._waits_for_locks is not waits:
            self._waiting.append(f"SET SESSION innodb_lock_wait_timeout = {lock_wait(self._settings) if waits else 0}")
        self._isolation, self._statement_limit_s, self._waits_for_locks = isolation, limit_s, waits
        self._waiting.append(_START_WRITING if writes else _START_READING)

    def command(self, text: str) -> Row | None:
        if text in {"COMMIT", "ROLLBACK"} and not super().is_in_transaction:
            self._forget_waiting()
            return None
        self._gathers = text == "COMMIT"
        try:
            return super().command(text)
        except ContentionError:
            if text != "ROLLBACK":
                raise
            self._forget_waiting()  # another node of a cluster has aborted the transaction before
            return None
        finally:
            self._gathers = False

    def _forget_waiting(self) -> None:
        """Forget a transaction that has sent nothing, and what was to be set for it."""
        if self._waiting:
            self._waiting.clear()
            self._isolation, self._statement_limit_s, self._waits_for_locks = "", math.nan, None
        if self.recorder is not None:
            self.recorder.follow("ROLLBACK")

    def begin_operation(self) -> None:
        """Begin an operation that may be undone alone. Its savepoint takes the place of the one before."""
        self._waiting.append(f"SAVEPOINT {self.operation_savepoint}")
        if self.recorder is not None:
            self.recorder.follow(self._waiting[-1])

    def keep_operation(self) -> None:
        """End the operation; what it did stays."""

    def undo_operation(self) -> None:
        """End the operation, and undo what it did."""
        self.command(f"ROLLBACK TO {self.operation_savepoint}")

    def execute(self, text: str, values: Sequence[Any]) -> Answer:
        """Run a statement; what waits is sent with it.

        What is stored just before COMMIT waits for that, too.
        """
        if self._saves is not None:
            raise StorageError(f"{self._settings.place}: more than a save is to be done")
        query = with_values(text, values)
        self._check_length(query)
        if self._gathers and text != "COMMIT":
            self._waiting.append(query)
            return NOT_SENT
        queries, self._waiting = [*self._waiting, query], []
        answer = NOT_SENT
        try:
            for request in self._requests(queries):
                answer = self.driver_connection.request(request)
        except self.dialect.driver_error as error:
            if self.dialect.aborts_transaction(error):
                self._roll_back_at_once()
            raise
        return answer

    def _requests(self, queries: Sequence[str]) -> Sequence[Sequence[str]]:
        """Return the requests to send, each with as many of the queries as one may have.

        A node of a cluster does not say that a transaction was aborted between two queries of a request: it executes
        the others, each by itself, and reports success, of COMMIT too. It does say so of a compound statement, and
        between requests. Before its first query locks something, a transaction is not aborted.
        """
        if len(queries) == 1 or not self._is_node or _START_WRITING in queries or _START_READING in queries:
            return [queries]
        if queries[-1] == "COMMIT":
            return [[f"BEGIN NOT ATOMIC {';'.join(queries)};END"]]
        return [[query] for query in queries]

    def run_and_commit(self, statement: Any, parameters: Parameters, kind: str, session_id: str | None) -> bool:
        if (
            not self.may_commit
            or _START_WRITING not in self._waiting
            or (self.recorder is not None and self.recorder.entries)
        ):
            return False
        compiled = self.dialect.compile(statement)
        query = with_values(compiled.text, compiled.bind(parameters))
        store = self.dialect.compile(STORE_FOR_SURE if self.is_known_to_record else STORE_AFTER_UPSERT)
        change = with_values(store.text, store.bind(feed_values(kind, parameters["id"], session_id)))
        save = f"{query};IF ROW_COUNT() THEN {change};END IF" if self.is_known_to_record else f"{query};{change}"
        if self._saves is None:
            self._commit_at_once([save])
        elif self.is_known_to_record:
            self._saves.append(save)
        else:
            return False
        return True

    def save_together(self, jobs: Sequence[Job[Any]]) -> list[Outcome]:
        """Run jobs whose fast path is one `run_and_commit`, in one transaction that fails if it would wait for a lock.

        Raises:
            StorageError: nothing was stored, or the connection is lost.
        """
        try:
            outcomes, saves = self._gather_saves(jobs)
            self._commit_at_once(saves)
        except BaseException:
            self._forget_waiting()
            raise
        return outcomes

    def _gather_saves(self, jobs: Sequence[Job[Any]]) -> tuple[list[Outcome], list[str]]:
        """Begin; return the outcomes that the jobs have once what they save is committed, and that. Send nothing."""
        outcomes: list[Outcome] = []
        saves: list[str] = []
        self.may_commit, self._saves = True, saves
        try:
            self.begin_writing()
            for job in jobs:
                outcomes.append(job.run_fast_path(self) or Outcome(job))
                if (error := outcomes[-1].error) is not None:
                    raise error
                if sum(map(len, saves)) > self._max_query:  # before more of them are in memory
                    raise StorageError(f"{self._settings.place}: what is saved together is too long for one request")
        finally:
            self.may_commit, self._saves = False, None
        return outcomes, saves

    def _commit_at_once(self, saves: Sequence[str]) -> None:
        """Send what is all of the transaction that waits to begin, with its values and COMMIT, in one request.

        It is one compound statement: that has one answer, which costs the client less to read than one for each.
        """
        block = f"BEGIN NOT ATOMIC {_START_WRITING};{';'.join(saves)};COMMIT;END"
        self._check_length(block)
        self._waiting.remove(_START_WRITING)
        try:
            with self.committing():
                super().command(block.replace("%", "%%"))  # it has its values already
        except StorageError:
            if not self.is_closed:
                self._roll_back_at_once()
            self._waiting.append(_START_WRITING)
            raise

    def _roll_back_at_once(self) -> None:
        """Roll back, whether or not the last answer says that a transaction is open. An error means that it is lost."""
        with suppress(self.dialect.driver_error, OSError):
            self.driver_connection.rollback()

    def _check_length(self, query: str) -> None:
        """Check that the server accepts a query: it would close the connection, as if it were lost.

        Raises:
            ValidationError: it is too long.
        """
        if len(query) * _MAX_BYTES_A_CHARACTER <= self._max_query:
            return
        length = len(query.encode(errors="surrogateescape"))
        if length > self._max_query:
            problem = f"is larger than the server accepts: {length} bytes with what has to be escaped"
            remedy = f"raise max_allowed_packet of the server, which is {self._max_query + _PACKET_MARGIN}"
            raise ValidationError("mariadb", "value", f"{problem}; {remedy}")


def lock_wait(settings: ServerSettings) -> str:
    """Return for how many seconds a statement waits for a lock: a little longer than it may run."""
    timeout_s = settings.statement_timeout
    return str(_MAX_SECONDS if timeout_s is None else math.ceil(timeout_s) + 1)


def server_seconds(seconds: float) -> str:
    """Return a limit of time for `max_statement_time`, in which 0 is no limit."""
    return "0" if math.isinf(seconds) else f"{min(max(seconds, 0.001), _MAX_SECONDS):.3f}"
