"""SQLite's executor: one writing thread, a few reading ones, and the schema brought up to date before they start."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs

from aaow_storage.authoring import cleaning_up_after, given_up_after_fork, run_all
from aaow_storage.errors import StorageError
from aaow_storage_sql import (
    FALL_BACK,
    Call,
    InteractiveTransaction,
    Job,
    Opening,
    SQLConnection,
    ThreadedExecutor,
    Work,
    needs_upgrade,
    roll_back,
)
from aaow_storage_sqlite import _file_locks, _memory_stores
from aaow_storage_sqlite._connections import Settings, check_sqlite_version, find_place, make_folder, open_writer
from aaow_storage_sqlite._indexes import create_indexes
from aaow_storage_sqlite._inline_reads import InlineReads
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._readers import Readers
from aaow_storage_sqlite._store_files import StoreFiles
from aaow_storage_sqlite._upgrade import bring_up_to_date, check_version
from aaow_storage_sqlite._writer import Writer

T = TypeVar("T")


class SQLiteExecutor(ThreadedExecutor):
    """Runs work on the threads of one store."""

    def __init__(self, settings: Settings, reader_threads: int, *, inline_reads: bool) -> None:
        super().__init__()
        self._settings = settings
        self._reader_threads = reader_threads
        self._inline_reads = inline_reads
        self._inline: InlineReads | None = None
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    def to_storage_error(self, error: Exception) -> StorageError:
        return self._settings.dialect.to_storage_error(error)

    def submit(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        operation = call.operation
        if operation.writes:
            if self._writer is None:
                raise self._not_open()
            job = Job(call)
            self._writer.put(job)
            return job.wait_shielded()
        if operation.is_point_read:
            return self._find(call)
        job = Job(call)
        self._open_readers().put(job)
        return job.wait()

    async def _find(self, call: Call[T]) -> T:
        """Run a point read on the event loop if that is quick enough, or else on a thread."""
        readers = self._open_readers()
        operation = call.operation
        is_short = operation.lookup is not None
        if self._inline is not None:
            search = call.run if is_short else functools.partial(_on_one_state, call.run)
            found = self._inline.find(operation, search)
            if found is not FALL_BACK:
                return found
            call = self._inline.measured(call)
        job = Job(call)
        readers.put(job, is_short=is_short)
        return await job.wait()

    def _open_readers(self) -> Readers:
        if self._readers is None:
            raise self._not_open()
        return self._readers

    async def begin(self, timeout: float) -> InteractiveTransaction:  # noqa: ASYNC109 - how long it may stay open
        if self._writer is None:
            raise self._not_open()
        transaction = given_up_after_fork(InteractiveTransaction(timeout))
        self._writer.put(transaction)
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
        check_sqlite_version()
        settings = attrs.evolve(self._settings, location=_memory_stores.acquire(self._settings.location))
        try:
            self._open(settings, opening, migrate=migrate)
        except BaseException as error:
            with cleaning_up_after(error):
                _memory_stores.release(self._settings.location)
            raise

    def shut(self) -> None:
        if self._readers is not None and self._writer is not None:
            try:
                run_all(self._stop_reading, self._writer.stop)
            finally:
                self._writer = None
                _memory_stores.release(self._settings.location)

    @property
    def place(self) -> str:
        return str(self._settings.location)

    def releasing(self) -> Callable[[], None]:
        return functools.partial(_release, self._writer, self._readers, self._inline, self._settings.location)

    def give_up(self) -> None:
        _inherited.append((self._writer, self._readers, self._inline))
        self._writer = self._readers = self._inline = None

    def _open(self, settings: Settings, opening: Opening, *, migrate: bool) -> None:
        settings = attrs.evolve(settings, location=find_place(settings.location))
        if settings.location.path is None or not settings.location.path.exists():
            needs_upgrade(None, migrate=migrate)
            make_folder(settings.location)
        _file_locks.check_inherited(str(settings.location.path))
        connection = open_writer(settings, opening, functools.partial(check_version, migrate=migrate))
        try:
            bring_up_to_date(connection, settings.busy_timeout, migrate=migrate, opening=opening)
            if migrate:
                create_indexes(connection, settings.indexes, settings.busy_timeout, opening)
            connection.driver_connection.set_progress_handler(None, 0)
            files = StoreFiles(settings.location)
        except BaseException:
            connection.close()
            raise
        # No connection that is opened from now on makes a file in the place of one that was removed.
        settings = attrs.evolve(settings, location=attrs.evolve(settings.location, creates=False))
        try:
            self._readers = Readers(settings, self._reader_threads, files)
            self._inline = InlineReads(settings, files) if self._inline_reads else None
            files.check()
            self._writer = Writer(settings, connection, files)
        except BaseException as error:
            with cleaning_up_after(error):
                run_all(self._stop_reading, functools.partial(files.close, connection.close))
            raise

    def _stop_reading(self) -> None:
        inline, readers = self._inline, self._readers
        self._inline = self._readers = None
        _stop_reading(readers, inline)


def _on_one_state(work: Work[T], connection: SQLConnection) -> T:
    connection.command("BEGIN")
    try:
        found = work(connection)
    except BaseException as error:
        roll_back(connection, error)
        raise
    roll_back(connection)
    return found


_inherited: list[object] = []
"""What a forked process has of the parent's stores. It stays there: to close it would act on the parent's files."""


def _release(writer: Writer | None, readers: Readers | None, inline: InlineReads | None, location: Location) -> None:
    """Let the threads of a store that is not used any more end by themselves, the writer's last."""
    if readers is not None:
        readers.stop_unused()
    if writer is not None:
        stop_reading = functools.partial(_stop_reading, readers, inline)
        writer.stop_unused(
            before_closing=stop_reading, after_closing=functools.partial(_memory_stores.release, location)
        )


def _stop_reading(readers: Readers | None, inline: InlineReads | None) -> None:
    run_all(*(each.stop for each in (inline, readers) if each is not None))
