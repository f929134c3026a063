"""Indexes of a SQLite file that differ from their tables: found by SQLite itself, and made again from the tables."""

import functools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import evolve

from aaow_storage.authoring import RecordFinding, cleaning_up_after
from aaow_storage_sql import Opening
from aaow_storage_sqlite._connections import SQLiteConnection, open_writer, without_creating
from aaow_storage_sqlite._inspection import path_of
from aaow_storage_sqlite._retry import retry_while_locked
from aaow_storage_sqlite._settings import Settings
from aaow_storage_sqlite._upgrade import check_version

MAX_PROBLEMS = 1_000
_OF_INDEX = re.compile(
    r"row \d+ missing from index (\S+)|wrong # of entries in index (\S+)|row \d+ values? differ.* index (\S+)"
)


@contextmanager
def changing(settings: Settings, opening: Opening) -> Iterator[SQLiteConnection]:
    """Yield a connection in a transaction that writes, which is committed at the end; no file is made."""
    path_of(settings)
    settings = without_creating(settings)
    connection = open_writer(settings, opening, functools.partial(check_version, migrate=False))
    try:
        retry_while_locked(lambda: connection.command("BEGIN IMMEDIATE"), settings.busy_timeout, opening)
        try:
            yield connection
            connection.command("COMMIT")
        except BaseException as error:
            with cleaning_up_after(error):
                connection.command("ROLLBACK")
            raise
    finally:
        connection.close()


def wrong_indexes(connection: SQLiteConnection, place: str) -> list[RecordFinding]:
    """Return the indexes that differ from their tables; nothing if the file has other damage, which comes first."""
    try:
        rows = connection.driver_connection.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return []  # which `check_integrity` tells
    problems = [line for (text,) in rows if text != "ok" for line in str(text).splitlines()]
    named = [_OF_INDEX.fullmatch(problem) for problem in problems]
    if not all(named):
        return []
    names = dict.fromkeys(next(filter(None, match.groups())) for match in named if match is not None)
    return [
        RecordFinding(
            code="index-wrong",
            kind=None,
            id=name,
            place=place,
            problem=f"the index {name} differs from its table",
            remedy="`check --repair` makes it again from the table",
            is_repairable=True,
        )
        for name in names
    ]


def rebuild_indexes(connection: SQLiteConnection, findings: list[RecordFinding]) -> list[RecordFinding]:
    """Make the indexes again, and return the findings as repaired."""
    connection.command("REINDEX")
    return [evolve(finding, is_repaired=True) for finding in findings]
