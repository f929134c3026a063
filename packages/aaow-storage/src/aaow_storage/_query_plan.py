"""Query plans: filters that are checked and normalized, for backends to run.

A backend without a query engine calls `QueryPlan.select`. One with a query engine translates the conditions, and may
call `Condition.matches` for those that its engine cannot express.
"""

import copy
import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from aaow_storage import _json
from aaow_storage._attrs_values import Value
from aaow_storage._enums import Direction
from aaow_storage._omitted import OMITTED
from aaow_storage._records import OMITTED_FIELDS

RecordT = TypeVar("RecordT")


class FieldKind(StrEnum):
    """The kind of values that a field has. A `COUNT` is an exact int of 64 bits, a `NUMBER` a float."""

    TEXT = "text"
    ENUM = "enum"
    INSTANT = "instant"
    NUMBER = "number"
    COUNT = "count"
    AMOUNT = "amount"
    BOOL = "bool"
    JSON = "json"


class Operator(StrEnum):
    """How a condition compares. `Ne` and `NotIn` become `EQ` and `IN`, negated; `Between` becomes `GE` and `LE`."""

    EQ = "eq"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"


class Connective(StrEnum):
    """How many conditions of a group have to hold."""

    ALL = "all"
    ANY = "any"


@attrs.frozen(eq=False, repr=False)
class QueryField(Value):
    """A scalar field of a record, a path into a JSON field, or a JSON field as a whole.

    A JSON field as a whole has no path, and is only compared with None.
    """

    name: str
    kind: FieldKind
    path: tuple[str, ...] = ()
    enum: type[StrEnum] | None = None
    within: str | None = None
    """The field of the record that has this field, such as the `usage` of an execution; None for the record itself."""

    def value_of(self, record: object) -> Any:
        """Return the value in a record, None if the path leads nowhere."""
        holder = record if self.within is None else getattr(record, self.within)
        if holder is None:
            return None
        value = getattr(holder, self.name)
        return value_at(value, self.path) if self.path else value


@attrs.frozen(eq=False, repr=False)
class Condition(Value):
    """One comparison. `operand` has the type of the field; for `IN` it is a tuple of such values.

    A negated condition holds for exactly the values for which the same one, not negated, does not: for null too. In a
    plan, the operand for a text field has no NUL, because no text field holds one.
    """

    field: QueryField
    operator: Operator
    operand: Any
    negated: bool = False
    _cache: dict[str, frozenset[Any]] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def matches(self, value: Any) -> bool:
        """Say whether a value of the field meets the condition."""
        return self._holds(value) is not self.negated

    def holds_for(self, record: object) -> bool:
        """Say whether a record meets the condition."""
        return self.matches(self.field.value_of(record))

    def leaves(self) -> "Iterator[Condition]":
        """Yield the condition itself, as the groups yield theirs."""
        yield self

    def _holds(self, value: Any) -> bool:
        match self.operator:
            case Operator.EQ:
                return same(value, self.operand)
            case Operator.IN:
                return not isinstance(value, list | dict) and _comparison_key(value) in self._keys()
            case Operator.CONTAINS:
                return isinstance(value, str) and self.operand in value
            case Operator.STARTS_WITH:
                return isinstance(value, str) and value.startswith(self.operand)
        return comparable(value, self.operand) and _COMPARE[self.operator](value, self.operand)

    def _keys(self) -> frozenset[tuple[bool, Any]]:
        """Return the keys of the values of an `IN`; made once, so that a record is not compared with each value."""
        if not self._cache:
            self._cache["keys"] = frozenset(map(_comparison_key, self.operand))
        return self._cache["keys"]


def _comparison_key(value: Any) -> tuple[bool, Any]:
    """Return a key that is equal for two values, with an equal hash, if and only if `same` holds for them.

    An enumeration may have hashes of its own, so its member becomes a str.
    """
    return isinstance(value, bool), str(value) if isinstance(value, str) else value


_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


@attrs.frozen(eq=False, repr=False)
class ConditionGroup(Value):
    """Conditions of which all, or any, have to hold; none of them: `ALL` holds then, and `ANY` does not.

    A group is never negated: in a plan, each negation is that of a condition.
    """

    connective: Connective
    parts: "tuple[Condition | ConditionGroup, ...]"

    def holds_for(self, record: object) -> bool:
        """Say whether a record meets the conditions of the group."""
        results = (part.holds_for(record) for part in self.parts)
        return all(results) if self.connective is Connective.ALL else any(results)

    def leaves(self) -> Iterator[Condition]:
        """Yield the conditions in the group and its groups, in order."""
        for part in self.parts:
            yield from part.leaves()


@attrs.frozen(eq=False, repr=False)
class QueryPlan(Value):
    """A checked filter: all conditions must hold, `order` is total, `after` has one value for each key of the order.

    What contract 1.0 had no operators for is in groups: negated comparisons other than `EQ` and `IN`, and alternatives.

    If `documents` is False, `select` leaves the documents out. A backend that does not call `select` calls
    `without_documents` for each record.
    """

    conditions: tuple[Condition | ConditionGroup, ...]
    order: tuple[tuple[QueryField, Direction], ...]
    limit: int | None
    offset: int
    after: tuple[Any, ...] | None
    documents: bool = True

    def select(self, records: Iterable[RecordT]) -> list[RecordT]:
        """Run the plan over records in memory; if `documents` is False, leave their documents out."""
        selected = self.select_whole(records)
        return selected if self.documents else [without_documents(record) for record in selected]

    def select_whole(self, records: Iterable[RecordT]) -> list[RecordT]:
        """Run the plan over records in memory, and keep their documents whatever `documents` says."""
        chosen = [record for record in records if self.matches(record)]
        for field, direction in reversed(self.order):
            keys = {id(record): sort_key(field.value_of(record)) for record in chosen}
            chosen.sort(key=lambda record: keys[id(record)], reverse=direction is Direction.DESCENDING)
        end = None if self.limit is None else self.offset + self.limit
        return chosen[self.offset : end]

    def matches(self, record: object) -> bool:
        """Say whether a record meets all conditions, and comes behind `after` if there is one."""
        return all(each.holds_for(record) for each in self.conditions) and self._is_after(record)

    def _is_after(self, record: object) -> bool:
        if self.after is None:
            return True
        for (field, direction), cursor in zip(self.order, self.after, strict=True):
            key, cursor_key = sort_key(field.value_of(record)), sort_key(cursor)
            if key != cursor_key:
                return (key > cursor_key) is (direction is Direction.ASCENDING)
        return False


def without_documents(record: RecordT) -> RecordT:
    """Return a copy of a record with `OMITTED` in place of its documents; a record without documents as it is."""
    names = OMITTED_FIELDS.get(type(record))
    if names is None:
        return record
    copied = copy.copy(record)
    for name in names:
        object.__setattr__(copied, name, OMITTED)
    return copied


def value_at(document: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys in a document, None if the path leads nowhere."""
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    return document


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal as JSON: True is not 1, and 1 equals 1.0."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def comparable(one: Any, other: Any) -> bool:
    """Say whether one of two values can be less than the other."""
    return type_rank(one) == type_rank(other) > _BOOL_RANK


_BOOL_RANK = 1


def type_rank(value: Any) -> int:
    """Return the rank of a value's type in an order: null, bool, number, text, instant, list, object."""
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
    """Return a key that orders any two values of a field: None first, lists and objects by their JSON text."""
    rank = type_rank(value)
    if value is None:
        return rank, 0
    return rank, _json.dumps(value) if isinstance(value, list | dict) else value
