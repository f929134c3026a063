"""Copying the write-ahead log into the database (checkpoints), outside the writer's commits.

A thread copies the log, which delays no writer. But under steady load it never catches up. So when few pages are left,
the writer copies them between two commits. If no reader uses the log at that moment, the next commit starts at the
beginning of the log: overwriting costs two thirds of what extending the file costs.

Overlapping readers keep SQLite from starting the log anew, and it would grow for ever. So a long log is restarted by
the writer in any case, which waits for the current readers. The thread reports how long the log is. The writer need not
wait for that report: the file grows only while the log is as long as the file.

The length of the log is read from a descriptor and not by `stat`: Linux 6.13 and later remember that the times of a
file were read, and update them at its next write. Each flush would then write the inode too, a second write to the
disk.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql import SQLConnection, start_thread
from aaow_storage_sqlite._connections import PAGE_BYTES, open_checkpointer
from aaow_storage_sqlite._fork_locks import ForkLock
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._store_files import StoreFiles


class Checkpointer:
    """Keeps the write-ahead log of one writer short. Its thread and connection are created when first needed.

    A failed checkpoint is no reason to refuse a write: it is tried again when the log is longer.
    """

    def __init__(self, settings: Settings, writing: SQLConnection, files: StoreFiles) -> None:
        self._settings = settings
        self._tuning = settings.tuning
        self._checkpoint_pages = self._tuning.checkpoint_bytes // PAGE_BYTES
        self._min_restart_pages = self._tuning.restart_bytes // PAGE_BYTES
        self._writing = writing
        writing.command("PRAGMA wal_autocheckpoint = 0")
        self._files = files
        self._changes_seen = 0
        self._bytes_seen = 0
        self._changes_between_checkpoints = self._tuning.initial_checkpoint_changes
        self._restart_above_pages = self._min_restart_pages
        self._pages = 0
        self._longest_bytes = 0
        self._thread: threading.Thread | None = None
        self._is_wanted = threading.Event()
        self._is_almost_copied = False
        self._is_stopping = False

    def next_step(self) -> Callable[[], None] | None:
        """Return what is due after a commit and may block, or None; the writer runs it outside a transaction.

        If the thread is to copy, it is only woken, which does not block.
        """
        if self._pages > self._restart_above_pages or self._is_thread_late():
            return self._restart
        if self._is_almost_copied:
            return self._copy_rest
        if not (self._is_wanted.is_set() and self._has_thread()) and self._is_due():
            with suppress(Exception):
                self._wake_thread()
        return None

    def stop(self) -> None:
        """End the thread, and truncate the log unless a reader needs it; called by the writer."""
        self._is_stopping = True
        self._is_wanted.set()
        thread = self._thread
        if thread is not None:
            thread.join()
            self._checkpoint("TRUNCATE")

    def _has_thread(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _wake_thread(self) -> None:
        """Have the thread copy the log; if none can be started, a long log is restarted without it."""
        if not self._has_thread():
            try:
                self._thread = start_thread(f"aaow-checkpointer {self._settings.location}", self._run)
            except StorageUnavailableError:
                self._pages = self._bytes_seen // PAGE_BYTES
                return
        self._is_wanted.set()

    def _is_due(self) -> bool:
        try:
            changes = self._writing.driver_connection.total_changes
        except sqlite3.ProgrammingError:  # the connection was discarded, and is not reopened yet
            return False
        size = self._size()
        if (
            changes - self._changes_seen < self._changes_between_checkpoints
            and size - self._bytes_seen < self._tuning.checkpoint_bytes
        ):
            return False
        self._changes_seen, self._bytes_seen = changes, size
        return True

    def _is_thread_late(self) -> bool:
        """Say whether the file has grown to twice the length at which the log is restarted; noted once a length."""
        size = self._size()
        if size <= self._longest_bytes:
            return False
        self._longest_bytes = size
        pages = size // PAGE_BYTES
        if pages <= 2 * self._restart_above_pages:
            return False
        self._pages = pages
        return True

    def _size(self) -> int:
        try:
            return os.lseek(self._files.log, 0, os.SEEK_END)  # not stat: see above
        except OSError:  # the program has closed descriptors that are not its own
            return self._bytes_seen

    def _restart(self) -> None:
        """Let the next commit start at the beginning of the log; if readers forbid it, retry when it is longer."""
        with suppress(Exception):
            is_restarted = self._checkpoint("RESTART")
            self._restart_above_pages = (
                self._min_restart_pages if is_restarted else self._pages + self._checkpoint_pages
            )
            self._pages = 0

    def _copy_rest(self) -> None:
        self._is_almost_copied = False
        with suppress(Exception):  # such as another process that copies
            self._files.check()
            pages, copied = _copy_pages(self._writing)
            if pages == copied:
                self._pages = 0

    def _checkpoint(self, kind: str) -> bool:
        """Copy the rest of the log and restart it; return whether the readers allowed that."""
        try:
            self._files.check()
            self._writing.command(f"PRAGMA busy_timeout = {self._tuning.max_restart_wait_ms}")
            row = self._writing.command(f"PRAGMA wal_checkpoint({kind})")
        except StorageError:
            return False
        finally:
            with suppress(StorageError):  # then a later statement of the writer may wait that long
                self._writing.command("PRAGMA busy_timeout = 0")
        return row is not None and row[0] == 0

    def _run(self) -> None:
        connection: SQLConnection | None = None
        fork_lock = ForkLock(str(self._settings.location.path), self._tuning.max_fork_wait_s)
        with suppress(BaseException):  # after an unexpected end, another thread is started when the log is longer
            while True:
                self._is_wanted.wait()
                self._is_wanted.clear()
                if self._is_stopping:
                    break
                with suppress(Exception), fork_lock:  # such as another process that copies; it is soon due again
                    self._files.check()
                    connection = connection or open_checkpointer(self._settings)
                    self._files.check()  # again, because another process may have replaced the files meanwhile
                    self._copy(connection)
        if connection is not None:
            connection.close()

    def _copy(self, connection: SQLConnection) -> None:
        pages, _ = _copy_pages(connection)
        if pages > self._pages:
            changes = self._changes_between_checkpoints * self._checkpoint_pages // (pages - self._pages)
            self._changes_between_checkpoints = min(max(1, changes), self._tuning.max_checkpoint_changes)
        self._pages = pages
        for _ in range(1, self._tuning.max_checkpoint_rounds):
            before = pages
            pages, _ = _copy_pages(connection)
            if pages - before <= self._tuning.max_rest_pages:
                self._is_almost_copied = True
                break


def _copy_pages(connection: SQLConnection) -> tuple[int, int]:
    """Copy what the readers allow; return how many pages the log has, and how many of them are copied.

    Raises:
        StorageUnavailableError: another connection is copying.
    """
    is_busy, pages, copied = connection.command("PRAGMA wal_checkpoint(PASSIVE)") or (1, 0, 0)
    if is_busy:
        raise StorageUnavailableError("another connection is copying the write-ahead log")
    return pages, copied
