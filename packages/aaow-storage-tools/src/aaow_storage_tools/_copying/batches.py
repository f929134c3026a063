"""What a walk through a store yields: batches of records, with what they refer to before them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import attrs

from aaow_storage import ValidationError
from aaow_storage_tools._kinds import KIND_OF, Kind


class Item(NamedTuple):
    """A record, and its kind."""

    kind: Kind[Any]
    record: Any

    @property
    def id(self) -> str:
        """The id of the record."""
        return self.kind.id_of(self.record)


class Place(NamedTuple):
    """Where a walk goes on: the kind that it is at, and a cursor of the last record before; None begins with the kind.

    A walk through sessions reads everything that belongs to them on its way.
    """

    kind: str
    cursor: str | None = None

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """Return the place that was written as JSON; None if it is none."""
        match value:
            case [str(kind), None | str() as cursor] if kind in KIND_OF:
                return cls(kind, cursor)
        return None


@attrs.frozen(kw_only=True)
class Batch:
    """Some records, in an order in which they can be stored.

    Attributes:
        items: the records.
        place: where a walk goes on after them; None if only a later batch has such a place.
        sessions: the ids of the sessions of which the batch has all that belongs to them, but stream events.
        large_session: the id of a session of which the batch has a part; other parts are in batches around it.
    """

    items: tuple[Item, ...]
    place: Place | None = None
    sessions: tuple[str, ...] = ()
    large_session: str | None = None


def check_where_is_of_sessions(job: str, where: Any) -> None:
    """Check that a choice of sessions is a mapping, before a job begins.

    Raises:
        ValidationError: it is something else.
    """
    if where is not None and not isinstance(where, Mapping):
        problem = (
            f"must map fields of a session to values, as in {{'status': 'completed'}}, not be {type(where).__name__}"
        )
        raise ValidationError(job, "where", problem)
