"""SQLite's executor: one writer thread, a few reader threads, and a schema that is upgraded before they start."""

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from aaow_storage.authoring import cleaning_up_after, given_up_after_fork, run_all
from aaow_storage.errors import StorageError
from aaow_storage_sql import (
    FALL_BACK,
    Call,
    InteractiveTransaction,
    Job,
    Opening,
    ThreadedExecutor,
    Work,
    import_late,
    operation,
    roll_back,
)
from aaow_storage_sqlite import _memory_stores
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings

if TYPE_CHECKING:
    from aaow_storage_sql import SQLConnection
    from aaow_storage_sqlite._inline_reads import InlineReads
    from aaow_storage_sqlite._readers import Readers
    from aaow_storage_sqlite._writer import Writer

T = TypeVar("T")


@operation(writes=False, is_point_read=True)
def _version(connection: "SQLConnection") -> object:
    """Return a value that changes with every commit of other connections; each connection counts for itself."""
    return id(connection.driver_connection), connection.command("PRAGMA data_version")


class SQLiteExecutor(ThreadedExecutor):
    """Runs work on the threads of one store."""

    version = _version

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.records_changes = settings.changes is not False
        self.poll_interval_s = settings.tuning.poll_interval_s
        self._inline_reads: InlineReads | None = None
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    @property
    def place(self) -> str:
        return str(self._settings.location)

    def to_storage_error(self, error: Exception) -> StorageError:
        return self._settings.dialect.to_storage_error(error)

    def submit(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        operation = call.operation
        if operation.writes:
            if self._writer is None:
                raise self._not_open()
            job = Job(call)
            self._writer.submit(job)
            return job.wait_shielded()
        if operation.is_point_read:
            return self._find(call)
        job = Job(call)
        self._open_readers().submit(job)
        return job.wait()

    async def _find(self, call: Call[T]) -> T:
        """Run a point read on the event loop if that is quick, or else on a reader thread."""
        readers = self._open_readers()
        operation = call.operation
        is_lookup = operation.lookup is not None
        if self._inline_reads is not None:
            read = call.run if is_lookup else functools.partial(_read_on_one_snapshot, call.run)
            found = self._inline_reads.find(operation, read)
            if found is not FALL_BACK:
                return found
            call = self._inline_reads.measured(call)
        job = Job(call)
        readers.submit(job, is_lookup=is_lookup)
        return await job.wait()

    def _open_readers(self) -> "Readers":
        if self._readers is None:
            raise self._not_open()
        return self._readers

    async def begin(self, timeout: float) -> InteractiveTransaction:  # noqa: ASYNC109 - how long it may stay open
        if self._writer is None:
            raise self._not_open()
        transaction = given_up_after_fork(InteractiveTransaction(timeout))
        self._writer.submit(transaction)
        try:
            await transaction.opened.wait()
        except BaseException:
            transaction.abandon()
            raise
        return transaction

    @property
    def is_open(self) -> bool:
        return self._writer is not None

    def open(self, opening: Opening, *, migrate: bool) -> None:
        import_late("aaow_storage_sqlite._open_store")
        from aaow_storage_sqlite._connections import check_sqlite_version  # noqa: PLC0415 - imported by the thread
        from aaow_storage_sqlite._open_store import open_store  # noqa: PLC0415 - as above

        check_sqlite_version()
        settings = evolve(self._settings, location=_memory_stores.acquire(self._settings.location))
        try:
            store = open_store(settings, opening, migrate=migrate)
        except BaseException as error:
            with cleaning_up_after(error):
                _memory_stores.release(self._settings.location)
            raise
        self._readers, self._inline_reads, self._writer = store.readers, store.inline_reads, store.writer
        self.records_changes = store.records_changes

    def shut(self) -> None:
        if self._readers is not None and self._writer is not None:
            try:
                run_all(self._stop_reading, self._writer.stop)
            finally:
                self._writer = None
                _memory_stores.release(self._settings.location)

    def releasing(self) -> Callable[[], None]:
        return functools.partial(_release, self._writer, self._readers, self._inline_reads, self._settings.location)

    def give_up(self) -> None:
        _inherited.append((self._writer, self._readers, self._inline_reads))
        self._writer = self._readers = self._inline_reads = None

    def _stop_reading(self) -> None:
        inline_reads, readers = self._inline_reads, self._readers
        self._inline_reads = self._readers = None
        _stop_reading(readers, inline_reads)


def _read_on_one_snapshot(work: Work[T], connection: "SQLConnection") -> T:
    connection.command("BEGIN")
    try:
        found = work(connection)
    except BaseException as error:
        roll_back(connection, error)
        raise
    roll_back(connection)
    return found


_inherited: list[object] = []
"""The parent's threads and connections, in a forked process. They are kept, because closing them, as the garbage
collector would, acts on the parent's files."""


def _release(
    writer: "Writer | None", readers: "Readers | None", inline_reads: "InlineReads | None", location: Location
) -> None:
    """Let the threads of a dropped adapter end by themselves, the writer last."""
    if readers is not None:
        readers.stop_dropped()
    if writer is not None:
        stop_reading = functools.partial(_stop_reading, readers, inline_reads)
        writer.stop_dropped(
            before_closing=stop_reading, after_closing=functools.partial(_memory_stores.release, location)
        )


def _stop_reading(readers: "Readers | None", inline_reads: "InlineReads | None") -> None:
    run_all(*(each.stop for each in (inline_reads, readers) if each is not None))
