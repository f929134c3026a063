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
import threading
from collections.abc import Callable
from contextlib import suppress

from aaow_storage.errors import StorageError, StorageUnavailableError
from aaow_storage_sql import SQLConnection
from aaow_storage_sqlite._connections import PAGE_BYTES, Settings, open_checkpointer

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
    """Looks after the write-ahead log of one writer. The thread and its connection are there once they are needed."""

    def __init__(self, settings: Settings, writing: SQLConnection) -> None:
        self._settings = settings
        self._writing = writing
        writing.command("PRAGMA wal_autocheckpoint = 0")
        self._log = _opened(f"{settings.location.path}-wal")
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
        if self._pages > self._restart_above:
            before_waiting()
            self._restart()
        elif self._is_almost_copied:
            before_waiting()
            self._copy_the_rest()
        elif not self._is_wanted.is_set() and self._is_due():
            if self._thread is None:
                name = f"aaow-checkpointer {self._settings.location}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            self._is_wanted.set()

    def stop(self) -> None:
        """End the thread, and leave a short log, where no reader needs a long one; called by the writer."""
        self._is_stopping = True
        self._is_wanted.set()
        if self._thread is not None:
            self._thread.join()
            self._checkpoint("TRUNCATE")
        with suppress(OSError):
            os.close(self._log)

    def _is_due(self) -> bool:
        changes = self._writing.driver_connection.total_changes
        size = os.lseek(self._log, 0, os.SEEK_END)  # not stat: see above
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
            pages, copied = _copied(self._writing)
            if pages == copied:
                self._pages = 0

    def _checkpoint(self, kind: str) -> bool:
        """Copy what is left and restart the log, and say whether the readers allowed it."""
        self._writing.command(f"PRAGMA busy_timeout = {RESTART_WAITS_MS}")
        try:
            row = self._writing.command(f"PRAGMA wal_checkpoint({kind})")
        except StorageError:
            return False
        finally:
            with suppress(StorageError):  # the writer waits that long once more, at most
                self._writing.command("PRAGMA busy_timeout = 0")
        return row is not None and row[0] == 0

    def _run(self) -> None:
        connection: SQLConnection | None = None
        while True:
            self._is_wanted.wait()
            self._is_wanted.clear()
            if self._is_stopping:
                break
            with suppress(StorageError):  # another process is at it; it is due again soon
                connection = connection or open_checkpointer(self._settings)
                self._copy(connection)
        if connection is not None:
            connection.close()

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


def _opened(log: str) -> int:
    """Open the log, which SQLite made when the writer first read; closing it gives no lock away, since it has none.

    Raises:
        StorageUnavailableError: it cannot be opened.
    """
    try:
        return os.open(log, os.O_RDONLY)
    except OSError as error:
        raise StorageUnavailableError(f"{log} cannot be opened: {error}") from error


def _copied(connection: SQLConnection) -> tuple[int, int]:
    """Copy what the readers allow to be copied; return how many pages the log has, and how many of them are copied.

    Raises:
        StorageUnavailableError: another connection is at it.
    """
    is_busy, pages, copied = connection.command("PRAGMA wal_checkpoint(PASSIVE)") or (1, 0, 0)
    if is_busy:
        raise StorageUnavailableError("another connection copies the log")
    return pages, copied
