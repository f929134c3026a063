"""`Record`, which the records share: each becomes a dict of plain JSON, and comes back from it.

The shape is what `json.dumps` and web frameworks take: an instant is ISO 8601 in UTC, an amount is a numeral as str, so
that no digit is lost, and the member of an enumeration is its value.
"""

import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Self, Union, cast, get_args, get_origin

import attrs

from aaow_storage._attrs_values import Value
from aaow_storage._json import JSON, JSONObject, dumps, loads
from aaow_storage._omitted import OMITTED
from aaow_storage._values import exact_text, shown
from aaow_storage.errors import ValidationError

Conversion = Callable[[str, Any], Any]
"""Converts the value of a field, whose path is given for errors."""


class Record(Value):
    """A value with named fields, of attrs."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict that is JSON throughout, and shares nothing with the record.

        An instant is a str in ISO 8601 with the offset `Z`, an amount is a str, a duration a number of seconds,
        an enumeration its value, a record a dict, a tuple a list. A document that a list left out (`OMITTED`) has no
        key.

        Raises:
            ValidationError: a document in the record was changed since, and is not JSON any more.
        """
        return {
            name: _plain(type(self).__name__, name, value) for name, value in _values_of(self) if value is not OMITTED
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the record with these fields, as `to_dict` or a JSON document gives them.

        A field that is left out has its default. The lists and dicts in the argument are not shared with the record.

        Raises:
            ValidationError: a field is unknown, missing, or has a wrong value; the error names it with its path.
        """
        return cast("Self", _made(cls, "", fields))


def same_record(one: Record, other: Record) -> bool:
    """Say whether two records would be stored alike: they are equal, and so is the text of their JSON."""
    return one == other and dumps(one.to_dict()) == dumps(other.to_dict())


def _values_of(record: Any) -> list[tuple[str, Any]]:
    return [(field.name, getattr(record, field.name)) for field in attrs.fields(type(record))]


def _plain(record: str, name: str, value: Any) -> Any:
    """Return the JSON for the value of a field."""
    match value:
        case Record():
            return value.to_dict()
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Decimal():
            return f"{value:f}"
        case StrEnum():
            return value.value
        case tuple():
            return [_plain(record, name, part) for part in value]
        case timedelta():
            return value.total_seconds()
        case dict() if any(isinstance(part, Record | Decimal) for part in value.values()):
            return {key: _plain(record, name, part) for key, part in value.items()}
        case dict() | list():
            return loads(dumps(value, record=record, field=name))
    return value


def _made(kind: type, path: str, fields: Any) -> Any:
    name = kind.__name__
    if not isinstance(fields, Mapping):
        raise ValidationError(name, path or "fields", f"must be a dict of fields, not {shown(fields)}")
    conversions = _conversions_of(kind)
    given = {}
    for key, value in fields.items():
        conversion = conversions.get(key) if isinstance(key, str) else None
        if conversion is None:
            problem = f"is not a field; there are {', '.join(conversions)}"
            raise ValidationError(name, exact_text(key) if isinstance(key, str) else shown(key), problem)
        given[key] = conversion(_joined(path, key), value)
    missing = [each.name for each in attrs.fields(kind) if each.default is attrs.NOTHING and each.name not in given]
    if missing:
        raise ValidationError(name, _joined(path, missing[0]), "is missing, and has no default")
    return kind(**given)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _conversions_of(kind: Any) -> dict[str, Conversion]:
    attrs.resolve_types(kind)
    return {field.name: _conversion_for(field.type) for field in attrs.fields(kind)}


def _conversion_for(kind: Any) -> Conversion:
    """Return the conversion for values of a type of fields; the record itself refuses what cannot be converted."""
    if kind in (JSON, JSONObject, JSONObject | None):
        return _copy_of
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (part for part in parts if part is not types.NoneType)
        conversion = _conversion_for(inner)
        return lambda path, value: None if value is None else conversion(path, value)
    if origin is tuple:
        return _each_in_list(parts[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _each_in_dict(_conversion_for(parts[1]))
    if isinstance(kind, type) and issubclass(kind, Record):
        return lambda path, value: _made(kind, path, value)
    if kind is timedelta:
        return _duration_of
    return _instant_of if kind is datetime else lambda path, value: value


def _copy_of(path: str, value: Any) -> Any:
    return loads(dumps(value, record="from_dict", field=path)) if isinstance(value, dict | list) else value


def _instant_of(path: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        problem = f"must be an instant in ISO 8601, such as '2026-01-31T12:00:00Z', not {shown(value)}"
        raise ValidationError("from_dict", path, problem) from None
    return instant if instant.tzinfo is None else instant.astimezone(UTC)


def _duration_of(path: str, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return timedelta(seconds=value) if is_number else value
    except (OverflowError, ValueError):
        problem = f"must be a number of seconds that a timedelta can hold, not {shown(value)}"
        raise ValidationError("from_dict", path, problem) from None


def _each_in_list(kind: Any) -> Conversion:
    def convert(path: str, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return tuple(_made(kind, f"{path}[{index}]", part) for index, part in enumerate(value))

    return convert


def _each_in_dict(conversion: Conversion) -> Conversion:
    def convert(path: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: conversion(f"{path}[{key!r}]", part) for key, part in value.items()}

    return convert
