"""Moving what was committed from the write-ahead log into the database, beside the writer and not inside its commits.

A thread copies, which holds up nobody. But under steady load it never catches up. So when it almost has, the writer
copies the few pages that are left, between two commits. Where nobody reads at that moment, the next commit goes to the
start of the log: to write over what is there costs two thirds of what it costs to make the file longer.

Readers that overlap keep SQLite from starting the log anew, so that it would grow for ever. So when it is long, the
writer restarts it in any case: that waits for the readers of the moment.

How long it is, is asked of a descriptor and not of `stat`: Linux 6.13 and later remember that somebody saw the times of
a file, and change them at its next write, which makes each flush write the inode too: a second write to the disk.
"""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql import SQLConnection, start_thread
from aaow_storage_sqlite._connections import PAGE_BYTES, Settings, open_checkpointer
from aaow_storage_sqlite._fork_locks import Gate
from aaow_storage_sqlite._store_files import StoreFiles

COPY_EVERY_BYTES = 8 * 2**20
COPY_EVERY_PAGES = COPY_EVERY_BYTES // PAGE_BYTES
RESTART_ABOVE_PAGES = 64 * 2**20 // PAGE_BYTES
RESTART_WAITS_MS = 100
FEW_PAGES = 64
MOST_COPIES = 5
"""How often the thread copies what came while it copied, until that is few pages."""
CHANGES_AT_FIRST = 400
MOST_CHANGES = 100_000


class Checkpointer:
    """Looks after the write-ahead log of one writer. The thread and its connection are there once they are needed.

    Whatever fails here is no reason to refuse what is to be written: it is tried again when the log is longer.
    """

    def __init__(self, settings: Settings, writing: SQLConnection, files: StoreFiles) -> None:
        self._settings = settings
        self._writing = writing
        writing.command("PRAGMA wal_autocheckpoint = 0")
        self._files = files
        self._changes_seen = 0
        self._bytes_seen = 0
        self._changes_a_copy = CHANGES_AT_FIRST
        self._restart_above = RESTART_ABOVE_PAGES
        self._pages = 0
        self._thread: threading.Thread | None = None
        self._is_wanted = threading.Event()
        self._is_almost_copied = False
        self._is_stopping = False

    def after_commit(self, before_waiting: Callable[[], None]) -> None:
        """Do what is due; called by the writer, outside of a transaction.

        `before_waiting` is called before anything that waits for the disk.
        """
        step = self._step_due()
        if step is None:
            return
        if step != self._copy_later:
            before_waiting()
        with suppress(Exception):
            step()

    def _step_due(self) -> Callable[[], None] | None:
        if self._pages > self._restart_above:
            return self._restart
        if self._is_almost_copied:
            return self._copy_the_rest
        return self._copy_later if not self._is_wanted.is_set() and self._is_due() else None

    def stop(self) -> None:
        """End the thread, and leave a short log, where no reader needs a long one; called by the writer."""
        self._is_stopping = True
        self._is_wanted.set()
        thread = self._thread
        if thread is not None:
            thread.join()
            self._checkpoint("TRUNCATE")

    def _copy_later(self) -> None:
        """Have the thread copy; where there is none, and none can be started, restart a long log without it."""
        if self._thread is None:
            try:
                self._thread = start_thread(f"aaow-checkpointer {self._settings.location}", self._run)
            except StorageUnavailableError:
                self._pages = self._bytes_seen // PAGE_BYTES
                return
        self._is_wanted.set()

    def _is_due(self) -> bool:
        try:
            changes = self._writing.driver_connection.total_changes
        except sqlite3.ProgrammingError:  # it was given up, and is not open again yet
            return False
        try:
            size = os.lseek(self._files.log, 0, os.SEEK_END)  # not stat: see above
        except OSError:  # the program has closed descriptors that are not its own
            size = self._bytes_seen
        if changes - self._changes_seen < self._changes_a_copy and size - self._bytes_seen < COPY_EVERY_BYTES:
            return False
        self._changes_seen, self._bytes_seen = changes, size
        return True

    def _restart(self) -> None:
        """Let the next commit go to the start of the log; where readers stay on, try again when it is longer."""
        is_restarted = self._checkpoint("RESTART")
        self._restart_above = RESTART_ABOVE_PAGES if is_restarted else self._pages + COPY_EVERY_PAGES
        self._pages = 0

    def _copy_the_rest(self) -> None:
        self._is_almost_copied = False
        with suppress(StorageError):  # another process is at it
            self._files.check()
            pages, copied = _copied(self._writing)
            if pages == copied:
                self._pages = 0

    def _checkpoint(self, kind: str) -> bool:
        """Copy what is left and restart the log, and say whether the readers allowed it."""
        try:
            self._files.check()
            self._writing.command(f"PRAGMA busy_timeout = {RESTART_WAITS_MS}")
            row = self._writing.command(f"PRAGMA wal_checkpoint({kind})")
        except StorageError:
            return False
        finally:
            with suppress(StorageError):  # the writer waits that long once more, at most
                self._writing.command("PRAGMA busy_timeout = 0")
        return row is not None and row[0] == 0

    def _run(self) -> None:
        connection: SQLConnection | None = None
        gate = Gate(str(self._settings.location.path))
        with suppress(BaseException):  # where it ends unexpectedly, another thread is started when the log is longer
            while True:
                self._is_wanted.wait()
                self._is_wanted.clear()
                if self._is_stopping:
                    break
                with suppress(Exception), gate:  # such as another process that is at it; it is due again soon
                    self._files.check()
                    connection = connection or open_checkpointer(self._settings)
                    self._files.check()  # so what was opened is not what another process has put there meanwhile
                    self._copy(connection)
        if connection is not None:
            connection.close()
        if not self._is_stopping:
            self._is_wanted.clear()
            self._thread = None

    def _copy(self, connection: SQLConnection) -> None:
        pages, _ = _copied(connection)
        if pages > self._pages:
            changes = self._changes_a_copy * COPY_EVERY_PAGES // (pages - self._pages)
            self._changes_a_copy = min(max(1, changes), MOST_CHANGES)
        self._pages = pages
        for _ in range(1, MOST_COPIES):
            before = pages
            pages, _ = _copied(connection)
            if pages - before <= FEW_PAGES:
                self._is_almost_copied = True
                break


def _copied(connection: SQLConnection) -> tuple[int, int]:
    """Copy what the readers allow to be copied; return how many pages the log has, and how many of them are copied.

    Raises:
        StorageUnavailableError: another connection is at it.
    """
    is_busy, pages, copied = connection.command("PRAGMA wal_checkpoint(PASSIVE)") or (1, 0, 0)
    if is_busy:
        raise StorageUnavailableError("another connection copies the log")
    return pages, copied
