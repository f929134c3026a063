"""Making records of rows, without checking again what a stored value shows at a glance.

A record checks everything it is built of, all of its JSON included, which costs several times what it takes to read it
from a database. What comes out of a column is of few kinds: JSON was decoded a moment ago, an instant was made of a
number. So a builder looks at each value only as long as that settles it, and leaves what is left to the field's own
converter and validator: it refuses what the record refuses.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Any, Generic, TypeVar, cast, get_args

import attrs

from aaow_storage import JSON, JSONObject

RecordT = TypeVar("RecordT")

Take = Callable[[object, Any], Any]
"""Takes a value for a field of a record that is being made, and returns what the field is to hold."""

_SHORT = 255
_MOST_DIGITS = 15
_MOST = 2**63 - 1


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

    def __call__(self, values: Sequence[Any]) -> RecordT:
        """Make the record.

        Raises:
            ValidationError: it cannot have that value.
        """
        made = self._new(self._record)
        for (assign, takes_none, take), value in zip(self._steps, values, strict=True):
            assign(made, value if value is None and takes_none else take(made, value))
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
    kind = next((kind for kind in _TAKERS if field.type in (kind, kind | None)), None)
    if kind is not None:
        return _TAKERS[kind](checked)
    if isinstance(field.type, type) and issubclass(field.type, StrEnum):
        members = {member.value: member for member in field.type}
        return lambda made, value: members[value] if type(value) is str and value in members else checked(made, value)
    return checked


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
        if type(value) is str and 0 < len(value) <= _SHORT and "\0" not in value:
            return value
        return checked(made, value)

    return take


def _count(checked: Take) -> Take:
    def take(made: object, value: Any) -> Any:
        return value if type(value) is int and 0 <= value <= _MOST else checked(made, value)

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
        is_sound = type(value) is Decimal and len(text) <= _MOST_DIGITS and text.replace(".", "", 1).isdecimal()
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
