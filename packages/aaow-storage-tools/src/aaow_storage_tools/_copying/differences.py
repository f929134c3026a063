"""What differs between two records, and between two stores."""

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, cast

import attrs

from aaow_storage import OMITTED, TokenUsage
from aaow_storage.authoring import dumps_unchecked
from aaow_storage_tools._kinds import KINDS

MAX_DIFFERENCES = 1000
"""How many differences a comparison names; it counts all of them."""


class Mismatch(StrEnum):
    """What is wrong with a record of the second store."""

    MISSING = "missing"
    """The first store has it, and the second has not."""
    EXTRA = "extra"
    """The second store has it, and the first has not."""
    DIFFERS = "differs"
    """Both have it, with other values."""


@attrs.frozen(kw_only=True)
class Difference:
    """A record that is not alike in two stores.

    Attributes:
        kind: its kind, such as `"session"`.
        id: its id.
        problem: what is wrong with it in the second store.
        fields: the fields that differ.
    """

    kind: str
    id: str
    problem: Mismatch
    fields: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON."""
        return {"kind": self.kind, "id": self.id, "problem": self.problem.value, "fields": list(self.fields)}


def _zeros() -> dict[str, int]:
    return {kind.name: 0 for kind in KINDS}


@attrs.frozen(kw_only=True)
class Comparison:
    """What a comparison of two stores found.

    Attributes:
        compared: how many records of each kind of the first store were compared.
        differences: the first 1,000 differences.
        found: how many differences there are.
    """

    compared: Mapping[str, int]
    differences: tuple[Difference, ...]
    found: int

    @property
    def is_equal(self) -> bool:
        """Whether the stores have the same records."""
        return not self.found

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON."""
        return {
            "is_equal": self.is_equal,
            "compared": dict(self.compared),
            "found": self.found,
            "differences": [difference.to_dict() for difference in self.differences],
        }


class Findings:
    """The differences that a comparison has found so far."""

    def __init__(self) -> None:
        self.compared = _zeros()
        self._differences: list[Difference] = []
        self._found = 0

    def add(self, kind: str, id: str, problem: Mismatch, fields: tuple[str, ...] = ()) -> None:
        """Note a difference."""
        self._found += 1
        if len(self._differences) < MAX_DIFFERENCES:
            self._differences.append(Difference(kind=kind, id=id, problem=problem, fields=fields))

    def comparison(self) -> Comparison:
        """Return what was found."""
        return Comparison(compared=self.compared, differences=tuple(self._differences), found=self._found)


def is_same(one: Any, other: Any) -> bool:
    """Say whether two records of a kind are alike in every field, with the types and the order of keys in documents."""
    values_of = _values_of(cast("Hashable", type(one)))
    return all(map(_is_same_value, values_of(one), values_of(other)))


def _is_same_value(one: Any, other: Any) -> bool:
    """Say whether two values of a field are alike, as their JSON is; most of them need no JSON to tell."""
    kind = type(one)
    if one is other:
        return True
    if kind is type(other):
        if kind is str:
            return bool(one == other)
        if kind is datetime and one.tzinfo is other.tzinfo:
            return bool(one == other)
        if kind is TokenUsage:
            return is_same(one, other)
        if kind is tuple:
            return len(one) == len(other) and all(map(is_same, one, other))
        if kind is dict and (_has_records(one) or _has_records(other)):
            return one.keys() == other.keys() and all(is_same(part, other[name]) for name, part in one.items())
        if kind is dict or kind is list:
            return dumps_unchecked(one) == dumps_unchecked(other)
    return dumps_unchecked(_plain_value(one)) == dumps_unchecked(_plain_value(other))


def _has_records(mapping: Mapping[str, Any]) -> bool:
    """Say whether the values of a mapping are records, as node states are, and no JSON."""
    return bool(mapping) and attrs.has(type(next(iter(mapping.values()))))


def differing_fields(one: Any, other: Any) -> tuple[str, ...]:
    """Return the names of the fields in which two records of a kind differ."""
    first, second = _plain(one), _plain(other)
    return tuple(
        name for name in first | second if dumps_unchecked(first.get(name)) != dumps_unchecked(second.get(name))
    )


def _plain(record: Any) -> dict[str, Any]:
    """Return the fields of a record as JSON, without copying the documents in them."""
    return {name: _plain_value(getattr(record, name)) for name in _names_of(cast("Hashable", type(record)))}


@cache
def _names_of(record: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cast("type[Any]", record)))


@cache
def _values_of(record: Hashable) -> Callable[[Any], tuple[Any, ...]]:
    """Return what returns the values of the fields of a record of that class."""
    return cast("Callable[[Any], tuple[Any, ...]]", attrgetter(*_names_of(record)))


def _plain_value(value: Any) -> Any:
    """Return the value of a field as JSON; node states are a mapping, which may come in any order."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if value is OMITTED:
        return None
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict) and _has_records(value):
        return {key: _plain(part) for key, part in sorted(value.items())}
    return _plain(value) if isinstance(value, TokenUsage) else value
