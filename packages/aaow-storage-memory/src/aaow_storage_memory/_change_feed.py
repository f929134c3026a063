"""The change feed: what each operation changed, kept with its transaction until the commit."""

from bisect import bisect_left
from datetime import datetime
from typing import Any

from aaow_storage import Change, ChangeAction, Session, ToolCallLog, new_id, now
from aaow_storage.authoring import (
    KINDS,
    ChangeQuery,
    FeedEntry,
    FeedPosition,
    FeedRow,
    check_kept,
    make_change,
    position_in,
    same_record,
)
from aaow_storage_memory._selection import with_session
from aaow_storage_memory._tables import Tables


class ChangeFeed:
    """The committed changes of a store, a row for each commit. It is used under the mutex of the store."""

    def __init__(self) -> None:
        self._generation = new_id().replace("-", "")[-8:]
        self._rows: list[FeedRow] = []
        self._last = 0
        """The number of the last row, kept or pruned."""
        self._pruned: FeedPosition | None = None

    def add(self, entries: list[FeedEntry]) -> None:
        """Add what was committed together."""
        if entries:
            self._last += 1
            self._rows.append(FeedRow(0, self._last, now(), entries))

    def read(self, query: ChangeQuery) -> list[Change]:
        """Return the changes of a query.

        Raises:
            ChangesLostError: the position is of another feed, or a change after it was pruned.
        """
        after = query.after
        if after is None:
            return [*query.select(self._generation, self._rows)]
        if not check_kept(after, self._generation, self._pruned, (0, self._last)):
            return [*query.from_next_row().select(self._generation, self._rows)]
        return [*query.select(self._generation, self._rows[self._index_of(after) :])]

    def last(self) -> Change | None:
        """Return the last change."""
        row = self._rows[-1] if self._rows else None
        return None if row is None else make_change(self._generation, row, len(row.entries) - 1)

    def prune(self, before: FeedPosition | datetime) -> int:
        """Delete the rows before a position or an instant; return how many changes they had.

        Raises:
            ChangesLostError: the position is of another feed, or a change after it was pruned.
        """
        if isinstance(before, FeedPosition):
            is_kept = check_kept(before, self._generation, self._pruned, (0, self._last))
            end = self._index_of(before) if is_kept else 0
        else:
            end = next((index for index, row in enumerate(self._rows) if row.at >= before), len(self._rows))
        removed, self._rows = self._rows[:end], self._rows[end:]
        if removed:
            self._pruned = position_in(self._generation, removed[-1], len(removed[-1].entries) - 1)
        return sum(len(row.entries) for row in removed)

    def _index_of(self, position: FeedPosition) -> int:
        return bisect_left(self._rows, position.row, key=lambda row: (row.transaction, row.number))


def changes_of(tables: Tables) -> list[FeedEntry]:
    """Return what an operation has changed in its tables, in the order of its writes.

    What went with a session is left out.
    """
    changed = tables.changed()
    is_cascade = any(kind is Session and record is None for kind, _, record, _ in changed)
    return [
        FeedEntry(KINDS[kind], key, _session_of(tables, kind, key, record or stored), action)
        for kind, key, record, stored in changed
        if kind in KINDS and (action := _action(stored, record)) is not None and (not is_cascade or kind is Session)
    ]


def _action(stored: Any, record: Any) -> str | None:
    if record is None:
        return None if stored is None else ChangeAction.DELETED
    if stored is None:
        return ChangeAction.CREATED
    return None if same_record(stored, record) else ChangeAction.UPDATED


def _session_of(tables: Tables, kind: type, id: str, record: object) -> str | None:
    if kind is Session:
        return id
    if isinstance(record, ToolCallLog):
        record = with_session(tables, record)
    return getattr(record, "session_id", None)
