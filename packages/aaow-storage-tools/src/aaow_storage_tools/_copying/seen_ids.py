"""`SeenIds`: which records a walk has met, on disk, so that memory does not grow with the store."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Self

MAX_PARAMETERS = 500
"""How many ids are asked for at once; SQLite takes 999 at least."""


class SeenIds:
    """The ids of records that a walk has met, by kind.

    They are in a temporary database of SQLite, which is a file if it is large, and goes when it is closed.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (kind TEXT, id TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID")

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        """Return an empty set for `with`, which closes it."""
        seen = cls()
        try:
            yield seen
        finally:
            seen.close()

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add(self, kind: str, ids: Iterable[str]) -> None:
        """Note that records of a kind were met."""
        ids = list(ids)
        if len(ids) == 1:
            self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (kind, ids[0]))
            return
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", ((kind, id_) for id_ in ids))
        self._database.execute("COMMIT")

    def remove(self, kind: str) -> None:
        """Forget all records of a kind."""
        self._database.execute("DELETE FROM seen WHERE kind = ?", (kind,))

    def ids(self, kind: str) -> Iterator[str]:
        """Yield the ids of the records of a kind that were met, in order; others may be added meanwhile."""
        after: str | None = ""
        query = "SELECT min(id) FROM seen WHERE kind = ? AND id > ?"
        while after is not None:
            (after,) = self._database.execute(query, (kind, after)).fetchone()
            if after is not None:
                yield after

    def missing(self, kind: str, ids: Collection[str]) -> list[str]:
        """Return those of the ids that were not met, each once, in their order."""
        wanted = list(dict.fromkeys(ids))
        found: set[str] = set()
        for start in range(0, len(wanted), MAX_PARAMETERS):
            part = wanted[start : start + MAX_PARAMETERS]
            marks = ", ".join("?" * len(part))
            query = f"SELECT id FROM seen WHERE kind = ? AND id IN ({marks})"  # noqa: S608 - marks alone
            found.update(id_ for (id_,) in self._database.execute(query, (kind, *part)))
        return [id_ for id_ in wanted if id_ not in found]
