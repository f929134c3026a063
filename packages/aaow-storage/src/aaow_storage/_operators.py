"""The operators of conditions, and `OrderBy`: what a filter compares a field with, and what it orders by."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from aaow_storage._attrs_values import Value
from aaow_storage._enums import Direction, DirectionWord
from aaow_storage._validators import Named, invalid
from aaow_storage._values import exact_text, member_or_same, shown

FieldName: TypeAlias = str | tuple[str, ...]
"""A field (`"status"`), or a path into a JSON field (`"metadata.user"`; `("metadata", "a.b")` for a key with a dot)."""


class FieldOperator(Value):
    """An operator, in place of the value that a field is compared with."""

    __slots__ = ()


@frozen(eq=False, repr=False)
class _OfValue(FieldOperator):
    """An operator with one value. The operators are plain subclasses, because attrs takes long to make a class."""

    value: Any


class Ne(_OfValue):
    """Not equal to the value; a null field is not equal to `"x"`, and `Ne(None)` means "is not null"."""

    __slots__ = ()


class Lt(_OfValue):
    """Less than the value; a null field never matches."""

    __slots__ = ()


class Le(_OfValue):
    """Less than the value, or equal to it; a null field never matches."""

    __slots__ = ()


class Gt(_OfValue):
    """Greater than the value; a null field never matches."""

    __slots__ = ()


class Ge(_OfValue):
    """Greater than the value, or equal to it; a null field never matches."""

    __slots__ = ()


def _values(value: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | set | frozenset | tuple) else value  # type: ignore[return-value]  # refused next


def _is_tuple(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, tuple):
        raise invalid(instance, attribute, f"must be a list, tuple or set of values, not {type(value).__name__}")


@frozen(eq=False, repr=False)
class _OfValues(FieldOperator):
    """An operator with several values."""

    values: tuple[Any, ...] = field(converter=_values, validator=_is_tuple)


class In(_OfValues):
    """Equal to one of the values, of which None means "is null"; with no values, no record matches."""

    __slots__ = ()


class NotIn(_OfValues):
    """Equal to none of the values: matches every record that `In` does not match."""

    __slots__ = ()


@frozen(eq=False, repr=False)
class _OfText(FieldOperator):
    """An operator with a text."""

    text: str


class Contains(_OfText):
    """Contains the text, case-sensitively, without wildcards; a null field never matches."""

    __slots__ = ()


class StartsWith(_OfText):
    """Begins with the text, case-sensitively, without wildcards; a null field never matches."""

    __slots__ = ()


@frozen(eq=False, repr=False)
class Between(FieldOperator):
    """At least `low` and at most `high`: both ends match; a null field never matches."""

    low: Any
    high: Any


@frozen(init=False, eq=False, repr=False)
class _OfConditions(FieldOperator):
    """An operator with any number of conditions on one field, each of them a value or an operator."""

    conditions: tuple[Any, ...]

    def __init__(self, *conditions: Any) -> None:
        self.__attrs_init__(conditions)


class All(_OfConditions):
    """Meets all of the conditions, as in `All(Ge("a"), Ne("b"))`; without conditions, every record matches."""

    __slots__ = ()


class AnyOf(_OfConditions):
    """Meets at least one of the conditions, as in `AnyOf(None, Lt(3))`; without conditions, no record matches."""

    __slots__ = ()


@frozen(eq=False, repr=False)
class Not(FieldOperator):
    """Does not meet the condition: matches exactly the records that the condition, a value or operator, does not."""

    condition: Any


def field_name(value: Any) -> Any:
    """Return the name or path of a field with plain str in it; leave anything else as it is."""
    if issubclass(type(value), tuple):
        return tuple(map(field_name, value))
    return exact_text(value) if issubclass(type(value), str) else value


def _direction(value: Direction | DirectionWord) -> Direction:
    return member_or_same(Direction, value)


def _is_direction(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, Direction):
        raise invalid(instance, attribute, f"{shown(value)} is not one of {', '.join(Direction)}")


def is_field_name(instance: object, attribute: Named, value: Any) -> None:
    parts = value if isinstance(value, tuple) else (value,)
    if not parts or not all(isinstance(part, str) for part in parts):
        raise invalid(instance, attribute, f"must name a field (str) or a path (tuple of str), not {shown(value)}")


@frozen(eq=False, repr=False)
class OrderBy(Value):
    """A field to order by. None sorts first if ascending, and last if descending."""

    field: FieldName = field(converter=field_name, validator=is_field_name)
    direction: Direction = attrs.field(default=Direction.ASCENDING, converter=_direction, validator=_is_direction)
