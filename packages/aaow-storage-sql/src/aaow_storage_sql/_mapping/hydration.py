"""Making records of rows, without checking again what a stored value shows at a glance.

A record checks everything it is built of, all of its JSON included, which costs several times what it takes to read it
from a database. What comes out of a column is of few kinds: JSON was decoded a moment ago, an instant was made of a
number. So a builder looks at each value only as long as that settles it, and leaves what is left to the field's own
converter and validator: it refuses what the record refuses. Of many rows it looks at whole columns.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import repeat
from operator import attrgetter, is_
from types import NoneType
from typing import Any, Generic, TypeVar, cast, get_args

import attrs

from aaow_storage import JSON, JSONObject
from aaow_storage.authoring import MAX_AMOUNT_DIGITS, MAX_COUNT, MAX_ID_LENGTH

RecordT = TypeVar("RecordT")

Take = Callable[[object, Any], Any]
"""Takes a value for a field of a record that is being made, and returns what the field is to hold."""

TakeColumn = Callable[[Sequence[Any]], Sequence[Any] | None]
"""Takes the values of a field of many records, none of which is None, or returns None where it is not sure of all."""

MOST_AT_ONCE = 1000
"""Of how many rows the columns are looked at together."""


class Builder(Generic[RecordT]):
    """Makes records of one kind of values in one order, which names every field."""

    def __init__(self, record: type[RecordT], names: Sequence[str]) -> None:
        self._record = record
        fields = attrs.fields_dict(cast("type[attrs.AttrsInstance]", record))
        if set(names) != set(fields) or hasattr(record, "__attrs_post_init__"):
            raise TypeError(f"{record.__name__} is not built of {', '.join(names)}")
        self._new = record.__new__
        # To set a slot by its descriptor takes less than to look its name up each time.
        self._steps = [
            (getattr(record, each).__set__, _takes_none(fields[each]), _take(fields[each])) for each in names
        ]
        self._columns = [_take_column(fields[each]) for each in names]

    def __call__(self, values: Sequence[Any]) -> RecordT:
        """Make the record.

        Raises:
            ValidationError: it cannot have that value.
        """
        made = self._new(self._record)
        for (assign, takes_none, take), value in zip(self._steps, values, strict=True):
            assign(made, value if value is None and takes_none else take(made, value))
        return made

    def all(self, rows: Iterable[Sequence[Any]]) -> list[RecordT]:
        """Make a record of each row.

        Raises:
            ValidationError: one of them cannot have one of the values.
        """
        remaining = list(rows)
        made: list[RecordT] = []
        for start in range(0, len(remaining), MOST_AT_ONCE):
            made += self._of_columns(remaining[start : start + MOST_AT_ONCE])
        return made

    def _of_columns(self, rows: Sequence[Sequence[Any]]) -> list[RecordT]:
        made = [self._new(self._record) for _ in rows]
        columns = zip(*rows, strict=True)
        for (assign, takes_none, take), take_column, column in zip(self._steps, self._columns, columns, strict=True):
            taken = _taken(take_column, column, takes_none=takes_none)
            if taken is None:
                taken = [
                    value if value is None and takes_none else take(each, value)
                    for each, value in zip(made, column, strict=True)
                ]
            deque(map(assign, made, taken), maxlen=0)
        return made


def builder(record: type[RecordT], names: tuple[str, ...]) -> Builder[RecordT]:
    """Return what makes such records of values in that order."""
    made = _builders.get((record, names))
    if made is None:
        made = _builders[record, names] = Builder(record, names)
    return made


_builders: dict[tuple[type, tuple[str, ...]], Builder[Any]] = {}


def _takes_none(field: "attrs.Attribute[Any]") -> bool:
    return NoneType in get_args(field.type)


def _take(field: "attrs.Attribute[Any]") -> Take:
    """Return what takes the values of a field, by its type."""
    checked = _checked(field)
    if field.type == JSON:
        return lambda made, value: value
    kind = _kind_of(field, _TAKERS)
    if kind is not None:
        return _TAKERS[kind](checked)
    members = _members_of(field)
    if members is not None:
        return lambda made, value: members[value] if type(value) is str and value in members else checked(made, value)
    return checked


def _taken(take: TakeColumn, column: Sequence[Any], *, takes_none: bool) -> Sequence[Any] | None:
    """Return what the fields are to hold, or None where the values have to be looked at one by one."""
    if not takes_none or None not in column:
        return take(column)
    others = [value for value in column if value is not None]
    return column if not others or take(others) is others else None


def _take_column(field: "attrs.Attribute[Any]") -> TakeColumn:
    """Return what takes a column of the values of a field, by its type."""
    if field.type == JSON:
        return lambda column: column
    kind = _kind_of(field, _COLUMN_TAKERS)
    if kind is not None:
        return _COLUMN_TAKERS[kind]
    members = _members_of(field)
    if members is not None:
        return lambda column: [*map(members.get, column)] if _are_in(members, column) else None
    return lambda _: None


def _kind_of(field: "attrs.Attribute[Any]", kinds: Iterable[Any]) -> Any:
    """Return which of the kinds the values of a field are of, be they optional, or None."""
    return next((kind for kind in kinds if field.type in (kind, kind | None)), None)


def _members_of(field: "attrs.Attribute[Any]") -> dict[str, StrEnum] | None:
    """Return the members of the enumeration that a field holds one of, by their words; None where it holds none."""
    if isinstance(field.type, type) and issubclass(field.type, StrEnum):
        return {member.value: member for member in field.type}
    return None


def _are_in(words: Container[str], column: Sequence[Any]) -> bool:
    return _are_all(str, column) and all(word in words for word in {*column})


def _are_all(kind: type, column: Sequence[Any]) -> bool:
    return {*map(type, column)} == {kind}


def _texts(column: Sequence[Any]) -> Sequence[Any] | None:
    are_sound = (
        _are_all(str, column)
        and all(column)
        and len(max(column, key=len)) <= MAX_ID_LENGTH
        and "\0" not in "".join(column)
    )
    return column if are_sound else None


def _counts(column: Sequence[Any]) -> Sequence[Any] | None:
    return column if _are_all(int, column) and min(column) >= 0 and max(column) <= MAX_COUNT else None


def _truths(column: Sequence[Any]) -> Sequence[Any] | None:
    return column if _are_all(bool, column) else None


def _instants(column: Sequence[Any]) -> Sequence[Any] | None:
    are_sound = _are_all(datetime, column) and all(map(is_, map(_zone, column), repeat(UTC)))
    return column if are_sound else None


_zone = attrgetter("tzinfo")


def _objects(column: Sequence[Any]) -> Sequence[Any] | None:
    return column if _are_all(dict, column) else None


_COLUMN_TAKERS: dict[Any, TakeColumn] = {
    str: _texts,
    int: _counts,
    bool: _truths,
    datetime: _instants,
    JSONObject: _objects,
}
"""For a type of fields, what takes a column of them whose values are all sound."""


def _checked(field: "attrs.Attribute[Any]") -> Take:
    """Return what takes a value as the record itself does."""
    convert: Any = field.converter or (lambda value: value)
    validate: Any = field.validator or (lambda made, field, value: None)

    def take(made: object, value: Any) -> Any:
        converted = convert(value)
        validate(made, field, converted)
        return converted

    return take


def _text(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        if type(value) is str and 0 < len(value) <= MAX_ID_LENGTH and "\0" not in value:
            return value
        return checked(made, value)

    return take


def _count(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        return value if type(value) is int and 0 <= value <= MAX_COUNT else checked(made, value)

    return take


def _truth(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        return value if type(value) is bool else checked(made, value)

    return take


def _instant(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        return value if type(value) is datetime and value.tzinfo is UTC else checked(made, value)

    return take


def _amount(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        text = str(value)
        is_sound = type(value) is Decimal and len(text) <= MAX_AMOUNT_DIGITS and text.replace(".", "", 1).isdecimal()
        return value if is_sound else checked(made, value)

    return take


def _object(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        return value if type(value) is dict else checked(made, value)

    return take


_TAKERS: dict[Any, Callable[[Take], Take]] = {
    str: _text,
    int: _count,
    bool: _truth,
    datetime: _instant,
    Decimal: _amount,
    JSONObject: _object,
}
"""For a type of fields, what makes of the record's own way to take a value one that is faster where the value is sound.

It tells so of a value read from a column; it may doubt a sound one.
"""
