"""What a caller says of the list it wants: `QueryFilter`, `OrderBy` and the operators."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from aaow_storage._enums import Direction
from aaow_storage._validators import Named, invalid, is_bool
from aaow_storage._values import exact_text, member_or_same, shown
from aaow_storage.errors import ValidationError

FieldName: TypeAlias = str | tuple[str, ...]
"""A field (`"status"`), or a path into a JSON field (`"metadata.user"`, `("metadata", "a.b")`)."""


@frozen
class _OfValue:
    """An operator that compares with a value. A class takes attrs a while to make: those that are alike share one."""

    value: Any


class Ne(_OfValue):
    """Everything that equality does not take: a null field is `Ne("x")`, and `Ne(None)` means "is not null"."""

    __slots__ = ()


class Lt(_OfValue):
    """Less than the value; a null field never is."""

    __slots__ = ()


class Le(_OfValue):
    """Less than the value or equal to it; a null field never is."""

    __slots__ = ()


class Gt(_OfValue):
    """Greater than the value; a null field never is."""

    __slots__ = ()


class Ge(_OfValue):
    """Greater than the value or equal to it; a null field never is."""

    __slots__ = ()


def _values(value: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | set | frozenset | tuple) else value  # type: ignore[return-value]  # refused next


def _is_tuple(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, tuple):
        raise invalid(instance, attribute, f"must be a list, tuple or set of values, not {type(value).__name__}")


@frozen
class _OfValues:
    """An operator that compares with several values."""

    values: tuple[Any, ...] = field(converter=_values, validator=_is_tuple)


class In(_OfValues):
    """Equal to one of the values, of which None means "is null"; with no values, nothing is."""

    __slots__ = ()


class NotIn(_OfValues):
    """Equal to none of the values: everything that `In` does not take."""

    __slots__ = ()


@frozen
class _OfText:
    """An operator that looks for a text."""

    text: str


class Contains(_OfText):
    """Holds the text, case-sensitively; no character is a wildcard. A null field never does."""

    __slots__ = ()


class StartsWith(_OfText):
    """Begins with the text, case-sensitively; no character is a wildcard. A null field never does."""

    __slots__ = ()


def _name(value: Any) -> Any:
    """Return a field's name or path as plain str, and what is none as it is."""
    if issubclass(type(value), tuple):
        return tuple(map(_name, value))
    return exact_text(value) if issubclass(type(value), str) else value


def _direction(value: Direction | str) -> Direction:
    return member_or_same(Direction, value)


def _is_direction(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, Direction):
        raise invalid(instance, attribute, f"{shown(value)} is not one of {', '.join(Direction)}")


def _is_field_name(instance: object, attribute: Named, value: Any) -> None:
    del attribute
    check_field_name(type(instance).__name__, value)


def check_field_name(record: str, name: object) -> None:
    """Check the form of a field's name, before it is known of which record.

    Raises:
        ValidationError: it is neither a str nor a tuple of str.
    """
    parts = name if isinstance(name, tuple) else (name,)
    if not parts or not all(isinstance(part, str) for part in parts):
        raise ValidationError(record, "field", f"{shown(name)} is not a field name (str) or a path (tuple of str)")


@frozen
class OrderBy:
    """A field to order by. None sorts before every value ascending, and behind every value descending."""

    field: FieldName = field(converter=_name, validator=_is_field_name)
    direction: Direction = attrs.field(default=Direction.ASCENDING, converter=_direction, validator=_is_direction)


def _order(value: "OrderBy | Iterable[OrderBy]") -> tuple[OrderBy, ...]:
    if isinstance(value, OrderBy):
        return (value,)
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]  # refused next


def _is_order(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(key, OrderBy) for key in value):
        raise invalid(instance, attribute, f"must be OrderBy, or a tuple or list of them, not {shown(value)}")


def _where(value: Mapping[FieldName, Any]) -> Mapping[FieldName, Any]:
    if not isinstance(value, Mapping):
        return value
    copy = dict(value)
    return copy if set(map(type, copy)) <= {str} else {_name(name): part for name, part in copy.items()}


def _is_where(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, dict):
        raise invalid(instance, attribute, f"must be a mapping of fields to values, not {type(value).__name__}")
    for name in value:
        check_field_name("QueryFilter.where", name)


MAX_PAGE = 2**63 - 1


def _is_page_number(instance: object, attribute: Named, value: Any) -> None:
    if type(value) is not int:
        raise invalid(instance, attribute, f"must be int, not {type(value).__name__}")
    if not 0 <= value <= MAX_PAGE:
        raise invalid(instance, attribute, f"{shown(value)} is not from 0 to 2**63-1")


def _is_limit(instance: object, attribute: Named, value: Any) -> None:
    if value is not None:
        _is_page_number(instance, attribute, value)


@frozen
class QueryFilter:
    """Which records of a list, in which order, and which page of it.

    `where` maps a field to a value (None means "is null") or an operator; all entries must hold. `order_by` defaults to
    the list's own order, which is time, then id; ties are always broken by id, ascending. `limit` and `offset` page
    through the filtered, ordered list; a `limit` of 0 gives nothing.

    With `documents=False` a list of sessions or workflows holds `OMITTED` in place of each snapshot or definition, and
    reads none of them, however large they are; conditions and orders may still reach into them. Other records are
    listed whole.

    Field names and the types of values are checked by the operation that takes the filter: it alone knows the record.
    """

    where: Mapping[FieldName, Any] = field(factory=dict, converter=_where, validator=_is_where)
    order_by: tuple[OrderBy, ...] = field(default=(), converter=_order, validator=_is_order)
    limit: int | None = field(default=None, validator=_is_limit)
    offset: int = field(default=0, validator=_is_page_number)
    documents: bool = field(default=True, kw_only=True, validator=is_bool)
    after_record: Any = field(default=None, kw_only=True)

    def after(self, record: object) -> "QueryFilter":
        """Continue behind that record, under the same order (keyset paging).

        Walking a list with `filter = filter.after(page[-1])` visits every record that was there throughout exactly
        once, whatever is inserted or deleted meanwhile, and the cost of a page does not grow with its number. An offset
        is dropped, since the record says where to go on.

        Raises:
            ValidationError: there is no record, such as where a page was empty.
        """
        if record is None:
            raise ValidationError("QueryFilter", "after", "must be the last record of the page before, not None")
        return attrs.evolve(self, after_record=record, offset=0)
