"""Copies of a migrated database, for one test after the other: one that can be emptied is used again."""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from aaow_storage_postgresql.testing._databases import temporary_database
from aaow_storage_sql import VERSION_TABLE

MAX_USES = 50
"""How many tests a copy is for: deleted rows take space, and slow queries down, until they are vacuumed."""
MAX_DELETED_ROWS = 500
"""A copy that held more is dropped."""
_SESSIONS_END_WITHIN_S = 2.0
_POLL_S = 0.001
_NOT_EMPTIED = ["change_feed", VERSION_TABLE]
_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL (%s) ORDER BY relname
"""
_SEQUENCES = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"
_OTHER_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_SCHEMA = f"""
    SELECT md5(string_agg(each, ',' ORDER BY each)) FROM (
        SELECT concat_ws(' ', 'class', oid, xmin) FROM pg_class WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'column', attrelid, attnum, xmin) FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT concat_ws(' ', 'index', indexrelid, xmin) FROM pg_index WHERE indexrelid >= 16384
        UNION ALL SELECT concat_ws(' ', 'constraint', oid, xmin) FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'trigger', oid, xmin) FROM pg_trigger
        UNION ALL SELECT concat_ws(' ', 'function', oid, xmin) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'type', oid, xmin) FROM pg_type WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'sequence', seqrelid, xmin) FROM pg_sequence
        UNION ALL SELECT concat_ws(' ', 'schema', oid, xmin) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'
        UNION ALL SELECT concat_ws(' ', 'extension', oid, xmin) FROM pg_extension
        UNION ALL SELECT concat_ws(' ', 'setting', setrole, setconfig) FROM pg_db_role_setting AS setting
            JOIN pg_database AS own ON own.oid = setting.setdatabase WHERE own.datname = current_database()
        UNION ALL SELECT 'version ' || version::text FROM {VERSION_TABLE} AS version
        UNION ALL SELECT 'feed ' || feed::text FROM change_feed AS feed
    ) AS objects (each)
"""  # noqa: S608 - the name of a table of ours
"""What a test may change beside rows and positions of sequences. A change of an object gives its row another `xmin`."""


class Copies:
    """Copies of the database at a URL, which no session may be on.

    A test gets a copy that is new, or that others have used before. Between two tests all sessions on it are ended, all
    rows are deleted, and the sequences begin again. A copy that is not as it was made after that is dropped.
    """

    def __init__(self, copied: str) -> None:
        self._copied = copied
        self._kept: _Copy | None = None

    @contextmanager
    def one(self) -> Iterator[str]:
        """Yield the URL of a copy without records."""
        copy = self._kept or _Copy(self._copied)
        self._kept = None
        try:
            yield copy.url
        finally:
            if copy.is_used_up or not copy.empty():
                copy.drop()
            else:
                self._kept = copy

    def close(self) -> None:
        """Drop the copy that is kept."""
        if self._kept is not None:
            self._kept.drop()
            self._kept = None


class _Copy:
    def __init__(self, copied: str) -> None:
        self._block: AbstractContextManager[str] = temporary_database(copy_of=copied)
        self.url = self._block.__enter__()
        self._uses = 0
        self._maker = os.getpid()
        self._connection: psycopg.Connection[Any] = psycopg.connect(self.url, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")  # no trigger records or cascades a deletion
        tables = self._connection.execute(_TABLES, [_NOT_EMPTIED]).fetchall()
        self._deletions = [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for (name,) in tables]
        self._schema = self._connection.execute(_SCHEMA).fetchall()

    @property
    def is_used_up(self) -> bool:
        """Whether no other test gets it."""
        return self._uses + 1 >= MAX_USES or os.getpid() != self._maker

    def empty(self) -> bool:
        """Make it as it was made; return False if that cannot be done."""
        self._uses += 1
        try:
            if not self._ends_sessions():
                return False
            if self._connection.execute(_SCHEMA).fetchall() != self._schema:
                return False
            with self._connection.transaction():
                deleted = sum(self._connection.execute(each).rowcount for each in self._deletions)
                self._connection.execute(_SEQUENCES)
        except psycopg.Error:
            return False
        return deleted <= MAX_DELETED_ROWS

    def _ends_sessions(self) -> bool:
        """End all other sessions; return whether none is left. One that was closed just now may still be listed."""
        deadline = time.monotonic() + _SESSIONS_END_WITHIN_S
        while self._connection.execute(_OTHER_SESSIONS).fetchall():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def drop(self) -> None:
        """Drop it, except in a forked process."""
        if os.getpid() == self._maker:
            with suppress(psycopg.Error):
                self._connection.close()
        self._block.__exit__(None, None, None)
