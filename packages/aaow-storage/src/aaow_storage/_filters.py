"""`QueryFilter`, `OrderBy` and the operators: which records a list has, and in which order."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from aaow_storage._enums import Direction
from aaow_storage._validators import Named, invalid, is_bool
from aaow_storage._values import exact_text, member_or_same, shown
from aaow_storage.errors import ValidationError

FieldName: TypeAlias = str | tuple[str, ...]
"""A field (`"status"`), or a path into a JSON field (`"metadata.user"`; `("metadata", "a.b")` for a key with a dot)."""


@frozen
class _OfValue:
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


@frozen
class _OfValues:
    """An operator with several values."""

    values: tuple[Any, ...] = field(converter=_values, validator=_is_tuple)


class In(_OfValues):
    """Equal to one of the values, of which None means "is null"; with no values, no record matches."""

    __slots__ = ()


class NotIn(_OfValues):
    """Equal to none of the values: matches every record that `In` does not match."""

    __slots__ = ()


@frozen
class _OfText:
    """An operator with a text."""

    text: str


class Contains(_OfText):
    """Contains the text, case-sensitively, without wildcards; a null field never matches."""

    __slots__ = ()


class StartsWith(_OfText):
    """Begins with the text, case-sensitively, without wildcards; a null field never matches."""

    __slots__ = ()


def _name(value: Any) -> Any:
    """Return the name or path of a field with plain str in it; leave anything else as it is."""
    if issubclass(type(value), tuple):
        return tuple(map(_name, value))
    return exact_text(value) if issubclass(type(value), str) else value


def _direction(value: Direction | str) -> Direction:
    return member_or_same(Direction, value)


def _is_direction(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, Direction):
        raise invalid(instance, attribute, f"{shown(value)} is not one of {', '.join(Direction)}")


def _is_field_name(instance: object, attribute: Named, value: Any) -> None:
    parts = value if isinstance(value, tuple) else (value,)
    if not parts or not all(isinstance(part, str) for part in parts):
        raise invalid(instance, attribute, f"must name a field (str) or a path (tuple of str), not {shown(value)}")


@frozen
class OrderBy:
    """A field to order by. None sorts first if ascending, and last if descending."""

    field: FieldName = field(converter=_name, validator=_is_field_name)
    direction: Direction = attrs.field(default=Direction.ASCENDING, converter=_direction, validator=_is_direction)


def _order(value: "OrderBy | Iterable[OrderBy]") -> tuple[OrderBy, ...]:
    if isinstance(value, OrderBy):
        return (value,)
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]  # refused next


def _is_order(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(key, OrderBy) for key in value):
        problem = f"must be OrderBy, such as OrderBy('created_at'), or a list or tuple of them, not {shown(value)}"
        raise invalid(instance, attribute, problem)


def _where(value: Mapping[FieldName, Any]) -> Mapping[FieldName, Any]:
    if not isinstance(value, Mapping):
        return value
    copy = dict(value)
    return copy if set(map(type, copy)) <= {str} else {_name(name): part for name, part in copy.items()}


def _is_where(instance: object, attribute: Named, value: Any) -> None:
    if not isinstance(value, dict):
        problem = f"must map fields to values, as in {{'status': 'running'}}, not be {type(value).__name__}"
        raise invalid(instance, attribute, problem)
    for name in value:
        _is_field_name(instance, attribute, name)


MAX_PAGE = 2**63 - 1


def _is_page_number(instance: object, attribute: Named, value: Any) -> None:
    if type(value) is not int:
        raise invalid(instance, attribute, f"must be int, not {type(value).__name__}")
    if not 0 <= value <= MAX_PAGE:
        raise invalid(instance, attribute, f"must be from 0 to 2**63-1, not {shown(value)}")


def _is_limit(instance: object, attribute: Named, value: Any) -> None:
    if value is not None:
        _is_page_number(instance, attribute, value)


@frozen
class QueryFilter:
    """Which records a list has, in which order, and which page of it.

    `where` maps a field to a value (None means "is null") or an operator; a record matches if all entries hold.
    `order_by` defaults to the order of the list, which is time, then id; ties are always broken by id, ascending.
    `limit` and `offset` select a page of the filtered, ordered list; with a `limit` of 0 it is empty.

    With `documents=False`, a list of sessions or workflows has `OMITTED` in place of each snapshot or definition, and
    reads none of them from the store, so their size does not matter; `where` and `order_by` may still use paths into
    them. Other records are not affected.

    The operation that gets the filter checks the names of fields and the types of values, because they depend on the
    record.
    """

    where: Mapping[FieldName, Any] = field(factory=dict, converter=_where, validator=_is_where)
    order_by: tuple[OrderBy, ...] = field(default=(), converter=_order, validator=_is_order)
    limit: int | None = field(default=None, validator=_is_limit)
    offset: int = field(default=0, validator=_is_page_number)
    documents: bool = field(default=True, kw_only=True, validator=is_bool)
    after_record: Any = field(default=None, kw_only=True)

    def after(self, record: object) -> "QueryFilter":
        """Return this filter for the page after that record, in the same order (keyset paging).

        Paging with `filter = filter.after(page[-1])` visits every record that is stored from the first page to the
        last exactly once, whatever is inserted or deleted meanwhile. Later pages cost no more than the first. `offset`
        becomes 0, because the record says where the page begins.

        Raises:
            ValidationError: the record is None.
        """
        if record is None:
            problem = "must be the last record of the page before, not None; after an empty page there is no other"
            raise ValidationError("QueryFilter", "after", problem)
        return attrs.evolve(self, after_record=record, offset=0)
