"""The plan of a query: what every backend runs, whatever a caller's `QueryFilter` looked like.

A backend without a query engine calls `QueryPlan.select`; one with a query engine translates the conditions, and may
call `Condition.matches` for what its engine cannot say.
"""

import copy
import operator
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from aaow_storage import _json
from aaow_storage._enums import Direction
from aaow_storage._omitted import OMITTED
from aaow_storage._records import DOCUMENT_FIELDS

RecordT = TypeVar("RecordT")


class FieldKind(StrEnum):
    """What a field that can be queried holds."""

    TEXT = "text"
    ENUM = "enum"
    INSTANT = "instant"
    NUMBER = "number"
    AMOUNT = "amount"
    BOOL = "bool"
    JSON = "json"


class Operator(StrEnum):
    """What a condition asks, once its value is normalized. `Ne` and `NotIn` are `EQ` and `IN`, negated."""

    EQ = "eq"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"


@attrs.frozen
class QueryField:
    """A scalar field of a record, or with a `path` what lies there in a JSON field."""

    name: str
    kind: FieldKind
    path: tuple[str, ...] = ()
    enum: type[StrEnum] | None = None

    def value_of(self, record: object) -> Any:
        """Return the value in that record, None where the path leads nowhere."""
        value = getattr(record, self.name)
        return value_at(value, self.path) if self.path else value


@attrs.frozen
class Condition:
    """One entry of `where`. `operand` is of the field's own type; for `IN` it is a tuple of such values.

    A text that a plan compares a text field with holds no NUL, since no such field does.
    """

    field: QueryField
    operator: Operator
    operand: Any
    negated: bool = False
    _listed: dict[str, frozenset[Any]] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def matches(self, value: Any) -> bool:
        """Say whether a value of the field meets the condition."""
        return self._holds(value) is not self.negated

    def _holds(self, value: Any) -> bool:
        match self.operator:
            case Operator.EQ:
                return same(value, self.operand)
            case Operator.IN:
                return not isinstance(value, list | dict) and _as_listed(value) in self._values()
            case Operator.CONTAINS:
                return isinstance(value, str) and self.operand in value
            case Operator.STARTS_WITH:
                return isinstance(value, str) and value.startswith(self.operand)
        return comparable(value, self.operand) and _COMPARE[self.operator](value, self.operand)

    def _values(self) -> frozenset[tuple[bool, Any]]:
        """Return the values of an `IN`, made once, so that a record is not compared with each of them in turn."""
        if not self._listed:
            self._listed["values"] = frozenset(map(_as_listed, self.operand))
        return self._listed["values"]


def _as_listed(value: Any) -> tuple[bool, Any]:
    """Return what two values have equal if they are the same, with equal hashes: those of an enumeration differ."""
    return isinstance(value, bool), str(value) if isinstance(value, str) else value


_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


@attrs.frozen
class QueryPlan:
    """A checked filter: all conditions must hold, `order` is total, `after` holds one value for each of its keys.

    Where `documents` is False, `select` leaves the documents of records out; who answers otherwise calls
    `without_documents` on each.
    """

    conditions: tuple[Condition, ...]
    order: tuple[tuple[QueryField, Direction], ...]
    limit: int | None
    offset: int
    after: tuple[Any, ...] | None
    documents: bool = True

    def select(self, records: Iterable[RecordT]) -> list[RecordT]:
        """Run the plan over records in memory, and leave their documents out where it says so."""
        selected = self.select_whole(records)
        return selected if self.documents else [without_documents(record) for record in selected]

    def select_whole(self, records: Iterable[RecordT]) -> list[RecordT]:
        """Run the plan over records in memory, for who leaves their documents out otherwise."""
        chosen = [record for record in records if self._takes(record)]
        for field, direction in reversed(self.order):
            keys = {id(record): sort_key(field.value_of(record)) for record in chosen}
            chosen.sort(key=lambda record: keys[id(record)], reverse=direction is Direction.DESCENDING)
        end = None if self.limit is None else self.offset + self.limit
        return chosen[self.offset : end]

    def _takes(self, record: object) -> bool:
        return all(c.matches(c.field.value_of(record)) for c in self.conditions) and self._is_behind(record)

    def _is_behind(self, record: object) -> bool:
        if self.after is None:
            return True
        for (field, direction), mark in zip(self.order, self.after, strict=True):
            key, mark_key = sort_key(field.value_of(record)), sort_key(mark)
            if key != mark_key:
                return (key > mark_key) is (direction is Direction.ASCENDING)
        return False


def without_documents(record: RecordT) -> RecordT:
    """Return a copy of a record that holds `OMITTED` in place of its document; one without documents as it is."""
    name = DOCUMENT_FIELDS.get(type(record))
    if name is None:
        return record
    copied = copy.copy(record)
    object.__setattr__(copied, name, OMITTED)
    return copied


def value_at(document: Any, path: tuple[str, ...]) -> Any:
    """Return what lies at a path of keys in a document, None where it leads nowhere."""
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    return document


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal as JSON compares: True is not 1, and 1 equals 1.0."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def comparable(one: Any, other: Any) -> bool:
    """Say whether an order between two values means anything."""
    return type_rank(one) == type_rank(other) > _BOOL_RANK


_BOOL_RANK = 1


def type_rank(value: Any) -> int:
    """Return where values of that type sort: null, bool, number, text, list, object; records hold one type a field."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return _BOOL_RANK
    if isinstance(value, int | float | Decimal):
        return 2
    if isinstance(value, str):
        return 3
    if isinstance(value, datetime):
        return 4
    return 5 if isinstance(value, list) else 6


def sort_key(value: Any) -> tuple[int, Any]:
    """Return a key under which any two values of a field sort: None first, lists and objects by their text."""
    rank = type_rank(value)
    if value is None:
        return rank, 0
    return rank, _json.dumps(value) if isinstance(value, list | dict) else value
