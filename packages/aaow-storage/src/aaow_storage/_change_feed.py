"""`Change`, one entry of the change feed, and the positions of the feed."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

from attrs import evolve, field, frozen

from aaow_storage import _validators as validators
from aaow_storage import _values as values
from aaow_storage._arguments import check_id, check_instant
from aaow_storage._attrs_values import Value
from aaow_storage._record_dicts import Record
from aaow_storage._records import KINDS
from aaow_storage.errors import ChangesLostError, ValidationError


class ChangeAction(StrEnum):
    """What was done to a record."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


ChangeActionWord: TypeAlias = Literal["created", "updated", "deleted"]


def _action(value: ChangeAction | ChangeActionWord) -> ChangeAction:
    return values.member_or_same(ChangeAction, value)


@frozen(kw_only=True, eq=False, repr=False)
class Change(Record):
    """One committed write of one record.

    Attributes:
        position: where it is in the feed, for `after`: an opaque text, safe in a URL, that no other change has.
        kind: what errors call such a record, such as `"session"`.
        id: the id of the record; that of an execution state is its session's.
        session_id: the session that the record is, or belongs to; None if it belongs to none.
        action: what was done. A node's state is a part of the execution state, which is then updated.
        at: when it was done, by the clock of the store or of the process that did it. It need not increase.
    """

    position: str = field(validator=validators.is_text)
    kind: str = field(validator=validators.is_text)
    id: str = field(validator=validators.is_id)
    session_id: str | None = field(default=None, validator=validators.optional(validators.is_id))
    action: ChangeAction = field(converter=_action, validator=validators.is_member(ChangeAction))
    at: datetime = field(converter=values.as_utc, validator=validators.is_instant)


class FeedEntry(NamedTuple):
    """What a backend notes of a write: a change without its position."""

    kind: str
    id: str
    session_id: str | None
    action: str


class FeedRow(NamedTuple):
    """Changes that were committed together, in order."""

    transaction: int
    """What comes before `number` in the order of rows; 0 in a store whose numbers are in the order of commits."""
    number: int
    at: datetime
    entries: Sequence[Sequence[Any]]
    """Each has the values of a `FeedEntry`."""


_POSITION = r"([0-9a-z]{1,32})\.([0-9]{1,20})\.([0-9]{1,20})\.([0-9]{1,9})\.(-?[0-9]{1,20})"
"""Compiled when it is first used, so that the import of this module need not wait for that."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FeedPosition(NamedTuple):
    """A position: a row, and an entry in it."""

    generation: str
    """Names the feed: what is recorded after a pause in recording has another one."""
    transaction: int
    number: int
    entry: int
    microseconds: int
    """When the row was recorded: a store that was restored from a copy has another row with that number."""

    def __str__(self) -> str:
        return ".".join(map(str, self))

    @property
    def row(self) -> tuple[int, int]:
        """What rows are ordered by."""
        return self.transaction, self.number

    def lost(self) -> ChangesLostError:
        """Return the error for a position after which changes are missing."""
        return ChangesLostError(str(self))


def position_in(generation: str, row: FeedRow, index: int) -> FeedPosition:
    """Return the position of an entry in a row."""
    microseconds = (row.at - _EPOCH) // timedelta(microseconds=1)
    return FeedPosition(generation, row.transaction, row.number, index, microseconds)


def parse_position(operation: str, argument: str, value: object) -> FeedPosition:
    """Return the position that a text names.

    Raises:
        ValidationError: it has not the form of a position.
    """
    match = re.fullmatch(_POSITION, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        problem = f"must be the position of a change, or None, not {values.shown(value)}"
        raise ValidationError(operation, argument, problem)
    generation, *numbers = match.groups()
    return FeedPosition(generation, *map(int, numbers))


def check_prune(operation: str, before: object) -> FeedPosition | datetime:
    """Return the position, or the instant in UTC, before which changes are to go.

    Raises:
        ValidationError: it is neither.
    """
    if isinstance(before, datetime):
        return check_instant(operation, "before", before)
    if isinstance(before, str):
        return parse_position(operation, "before", before)
    problem = f"must be the position of a change, or an aware datetime, not {values.shown(before)}"
    raise ValidationError(operation, "before", problem)


@frozen(eq=False, repr=False)
class ChangeQuery(Value):
    """The checked arguments of `get_changes`."""

    after: FeedPosition | None
    limit: int
    kinds: frozenset[str] | None
    session_id: str | None

    def matches(self, kind: str, session_id: str | None) -> bool:
        """Say whether a change is one of those that are wanted."""
        return (self.kinds is None or kind in self.kinds) and self.session_id in {None, session_id}

    def select(self, generation: str, rows: Iterable[FeedRow]) -> Iterator[Change]:
        """Return the first changes of the query; the rows begin with the one of `after`, if there is such a position.

        Raises:
            ChangesLostError: the first row is not the one of `after`.
        """
        left = self.limit
        start = 0 if self.after is None else self.after.entry + 1
        for row in rows:
            if start and self.after is not None:
                is_same = position_in(generation, row, start - 1) == self.after and start <= len(row.entries)
                if not is_same:
                    raise self.after.lost()
            for index in range(start, len(row.entries)):
                kind, _, session_id, _ = row.entries[index]
                if self.matches(kind, session_id):
                    yield make_change(generation, row, index)
                    left -= 1
                    if not left:
                        return
            start = 0

    def from_next_row(self) -> "ChangeQuery":
        """Return the query for rows that come after the one of `after`, all of whose changes were read."""
        return evolve(self, after=None)


def make_change(generation: str, row: FeedRow, index: int) -> Change:
    """Return the change that an entry of a row stands for."""
    kind, record_id, session_id, action = row.entries[index]
    return Change(
        position=str(position_in(generation, row, index)),
        kind=kind,
        id=record_id,
        session_id=session_id,
        action=action,
        at=row.at,
    )


def check_kept(after: FeedPosition, generation: str, pruned: FeedPosition | None, last: tuple[int, int]) -> bool:
    """Check that nothing is missing after a position; return whether its own row is still kept.

    Args:
        after: the position.
        generation: the one of the feed.
        pruned: the last position that was pruned.
        last: the last row, kept or pruned.

    Raises:
        ChangesLostError: a change after it was pruned, or it is of another feed.
    """
    if after.generation != generation or after.row > last:
        raise after.lost()
    if pruned is None or after.row > pruned.row:
        return True
    if after != pruned:
        raise after.lost()
    return False


def plan_changes(operation: str, after: object, limit: object, kinds: object, session_id: str | None) -> ChangeQuery:
    """Check the arguments of `get_changes`.

    Raises:
        ValidationError: one of them is wrong.
    """
    if type(limit) is not int or not 1 <= limit <= values.MAX_COUNT:
        raise ValidationError(operation, "limit", f"must be an int from 1 to 2**63-1, not {values.shown(limit)}")
    return ChangeQuery(
        None if after is None else parse_position(operation, "after", after),
        limit,
        None if kinds is None else _checked_kinds(operation, kinds),
        None if session_id is None else check_id(operation, "session_id", session_id),
    )


def _checked_kinds(operation: str, kinds: object) -> frozenset[str]:
    known = sorted(KINDS.values())
    if isinstance(kinds, str) or not isinstance(kinds, Collection):
        raise ValidationError(operation, "kinds", f"must be a list of kinds of records, not {values.shown(kinds)}")
    for kind in kinds:
        if kind not in known:
            problem = f"has {values.shown(kind)}, which is no kind of records; those are {', '.join(known)}"
            raise ValidationError(operation, "kinds", problem)
    return frozenset(kinds)
