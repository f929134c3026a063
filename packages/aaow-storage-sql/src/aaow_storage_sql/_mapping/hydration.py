"""Making records of rows, without validating again what a stored value shows at a glance.

A record validates all its fields, including every part of its JSON. That takes several times longer than reading it
from a database. A value that comes out of a column is of few kinds: JSON was decoded a moment ago, an instant was made
of a number. So each field has a fast check. A value that fails it goes through the field's own converter and validator,
so that a hydrator refuses exactly what the record refuses. Many rows are checked column by column.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import repeat
from operator import attrgetter, is_
from types import NoneType
from typing import Any, Generic, NamedTuple, TypeVar, cast, get_args, get_origin

import attrs

from aaow_storage import JSON, JSONObject
from aaow_storage.authoring import (
    DEPENDENT_FIELDS,
    MAX_AMOUNT_DIGITS,
    MAX_COUNT,
    MAX_ID_LENGTH,
    NOT_ALWAYS_OPTIONAL_FIELDS,
)
from aaow_storage_sql._tuning import DEFAULT

RecordT = TypeVar("RecordT")

FieldLoader = Callable[[object, Any], Any]
"""Validates a value for a field of the record that is being made; returns the value to set."""

ColumnLoader = Callable[[Sequence[Any]], Sequence[Any] | None]
"""Validates a whole column without None; returns the values to set, or None if any value needs the slow path."""

MAX_ROWS = DEFAULT.max_hydrated_rows
COLUMNAR_FROM = DEFAULT.min_columnar_rows


class Hydrator(Generic[RecordT]):
    """Makes records of one type from values in one order, which covers every field.

    A field whose validator looks at another one comes after it.
    """

    def __init__(self, record: type[RecordT], names: Sequence[str]) -> None:
        self._record = record
        fields = attrs.fields_dict(cast("type[attrs.AttrsInstance]", record))
        if set(names) != set(fields) or hasattr(record, "__attrs_post_init__"):
            raise TypeError(f"{record.__name__} cannot be made of {', '.join(names)} alone")
        self._new = record.__new__
        dependent = DEPENDENT_FIELDS.get(record, ())
        optional = {each for each in names if _is_optional(fields[each])}
        optional -= {*dependent, *NOT_ALWAYS_OPTIONAL_FIELDS.get(record, ())}
        # Setting a slot by its descriptor is faster than looking its name up each time.
        self._steps = [
            (
                getattr(record, each).__set__,
                each in optional,
                _record_validation(fields[each]) if each in dependent else _field_loader(fields[each]),
            )
            for each in names
        ]
        self._column_loaders = [_doubt if each in dependent else _column_loader(fields[each]) for each in names]

    def __call__(self, values: Sequence[Any]) -> RecordT:
        """Make one record.

        Raises:
            ValidationError: the record cannot have one of the values.
        """
        made = self._new(self._record)
        for (assign, is_optional, load), value in zip(self._steps, values, strict=True):
            assign(made, value if value is None and is_optional else load(made, value))
        return made

    def all(self, rows: Iterable[Sequence[Any]]) -> list[RecordT]:
        """Make a record of each row.

        Raises:
            ValidationError: a record cannot have one of its values.
        """
        remaining = list(rows)
        if len(remaining) < COLUMNAR_FROM:
            return [*map(self, remaining)]
        made: list[RecordT] = []
        for start in range(0, len(remaining), MAX_ROWS):
            made += self._from_columns(remaining[start : start + MAX_ROWS])
        return made

    def _from_columns(self, rows: Sequence[Sequence[Any]]) -> list[RecordT]:
        made = [self._new(self._record) for _ in rows]
        columns = zip(*rows, strict=True)
        for (assign, is_optional, load), load_column, column in zip(
            self._steps, self._column_loaders, columns, strict=True
        ):
            loaded = _load(load_column, column, is_optional=is_optional)
            if loaded is None:
                loaded = [
                    value if value is None and is_optional else load(each, value)
                    for each, value in zip(made, column, strict=True)
                ]
            deque(map(assign, made, loaded), maxlen=0)
        return made


def hydrator_for(record: type[RecordT], names: tuple[str, ...]) -> Hydrator[RecordT]:
    """Return the hydrator for a type of records and an order of values; each is made once."""
    made = _hydrators.get((record, names))
    if made is None:
        made = _hydrators[record, names] = Hydrator(record, names)
    return made


_hydrators: dict[tuple[type, tuple[str, ...]], Hydrator[Any]] = {}


def _is_optional(field: "attrs.Attribute[Any]") -> bool:
    return NoneType in get_args(field.type)


def _field_loader(field: "attrs.Attribute[Any]") -> FieldLoader:
    validate = _record_validation(field)
    if field.type == JSON:
        return lambda made, value: value
    check = _check_of(field)
    if check is not None:
        return check.one(validate)
    members = _members_of(field)
    if members is not None:
        return lambda made, value: members[value] if type(value) is str and value in members else validate(made, value)
    return validate


def _column_loader(field: "attrs.Attribute[Any]") -> ColumnLoader:
    if field.type == JSON:
        return lambda column: column
    check = _check_of(field)
    if check is not None:
        return check.many
    members = _members_of(field)
    if members is not None:
        return lambda column: [*map(members.get, column)] if _are_members(members, column) else None
    return _doubt


def _load(load: ColumnLoader, column: Sequence[Any], *, is_optional: bool) -> Sequence[Any] | None:
    """Load a column that may have None in it; return None if its values have to be loaded one by one."""
    if not is_optional:
        return load(column)
    if column[0] is None and column.count(None) == len(column):
        return column  # most optional fields are left out everywhere; the next check looks at each value
    if None not in column:
        return load(column)
    others = [value for value in column if value is not None]
    return column if not others or load(others) is others else None


def _record_validation(field: "attrs.Attribute[Any]") -> FieldLoader:
    """Return the loader that converts and validates a value as the record itself does."""
    convert: Any = field.converter
    validate: Any = field.validator or (lambda made, field, value: None)

    def check(made: object, value: Any) -> Any:
        validate(made, field, value)
        return value

    def load(made: object, value: Any) -> Any:
        converted = convert(value)
        validate(made, field, converted)
        return converted

    return check if convert is None else load


def _members_of(field: "attrs.Attribute[Any]") -> dict[str, StrEnum] | None:
    """Return the members of the field's enumeration by their values; None if it is no enumeration."""
    if isinstance(field.type, type) and issubclass(field.type, StrEnum):
        return {member.value: member for member in field.type}
    return None


def _are_members(members: dict[str, StrEnum], column: Sequence[Any]) -> bool:
    return _are_all(str, column) and all(word in members for word in {*column})


def _are_all(kind: type, column: Sequence[Any]) -> bool:
    return {*map(type, column)} == {kind}


def _doubt(column: Sequence[Any]) -> None:
    """Send each value of a column through the slow path."""
    del column


# A pair of checks for each type of fields, for one value and for a column. The check of one value is written out in
# each loader, since a call more for each value costs a tenth of the time that a list takes.


def _text(validate: FieldLoader) -> FieldLoader:
    def load(made: object, value: Any) -> Any:
        if type(value) is str and 0 < len(value) <= MAX_ID_LENGTH and "\0" not in value:
            return value
        return validate(made, value)

    return load


def _texts(column: Sequence[Any]) -> Sequence[Any] | None:
    are_valid = (
        _are_all(str, column)
        and all(column)
        and len(max(column, key=len)) <= MAX_ID_LENGTH
        and "\0" not in "".join(column)
    )
    return column if are_valid else None


def _count(validate: FieldLoader) -> FieldLoader:
    def load(made: object, value: Any) -> Any:
        return value if type(value) is int and 0 <= value <= MAX_COUNT else validate(made, value)

    return load


def _counts(column: Sequence[Any]) -> Sequence[Any] | None:
    return column if _are_all(int, column) and min(column) >= 0 and max(column) <= MAX_COUNT else None


def _truth(validate: FieldLoader) -> FieldLoader:
    def load(made: object, value: Any) -> Any:
        return value if type(value) is bool else validate(made, value)

    return load


def _truths(column: Sequence[Any]) -> Sequence[Any] | None:
    return column if _are_all(bool, column) else None


def _instant(validate: FieldLoader) -> FieldLoader:
    def load(made: object, value: Any) -> Any:
        return value if type(value) is datetime and value.tzinfo is UTC else validate(made, value)

    return load


_zone = attrgetter("tzinfo")


def _instants(column: Sequence[Any]) -> Sequence[Any] | None:
    are_valid = _are_all(datetime, column) and all(map(is_, map(_zone, column), repeat(UTC)))
    return column if are_valid else None


def _amount(validate: FieldLoader) -> FieldLoader:
    def load(made: object, value: Any) -> Any:
        if type(value) is Decimal:
            text = str(value)
            is_short = len(text) <= MAX_AMOUNT_DIGITS and text.replace(".", "", 1).isdecimal()
            if is_short and ("." not in text or text[-1] != "0"):
                return value
        return validate(made, value)

    return load


def _object(validate: FieldLoader) -> FieldLoader:
    def load(made: object, value: Any) -> Any:
        return value if type(value) is dict else validate(made, value)

    return load


def _objects(column: Sequence[Any]) -> Sequence[Any] | None:
    return column if _are_all(dict, column) else None


class _Check(NamedTuple):
    one: Callable[[FieldLoader], FieldLoader]
    """Makes the loader of one value, of the record's own validation for a value that fails the check."""
    many: ColumnLoader


_CHECKS: dict[Any, _Check] = {
    str: _Check(_text, _texts),
    int: _Check(_count, _counts),
    bool: _Check(_truth, _truths),
    datetime: _Check(_instant, _instants),
    Decimal: _Check(_amount, _doubt),
    JSONObject: _Check(_object, _objects),
}
"""The fast checks by type of field. A check may doubt a valid value; it never accepts what the record rejects."""


def _check_of(field: "attrs.Attribute[Any]") -> _Check | None:
    """Return the check for the type of a field, which may be optional."""
    plain = next((check for kind, check in _CHECKS.items() if field.type in (kind, kind | None)), None)
    return plain or _check_of_records(field)


def _check_of_records(field: "attrs.Attribute[Any]") -> _Check | None:
    """Return the check for a field that has a record, or a tuple of records, which hydration made a moment ago."""
    kinds = [kind for kind in get_args(field.type) if kind is not NoneType] if _is_optional(field) else [field.type]
    kind = kinds[0]
    if get_origin(kind) is tuple:
        return _tuple_check(get_args(kind)[0])
    return _record_check(kind) if isinstance(kind, type) and attrs.has(kind) else None


def _record_check(record: type) -> _Check:
    def one(validate: FieldLoader) -> FieldLoader:
        return lambda made, value: value if type(value) is record else validate(made, value)

    return _Check(one, lambda column: column if _are_all(record, column) else None)


def _tuple_check(record: type) -> _Check:
    records = {record}

    def is_valid(value: Any) -> bool:
        return type(value) is tuple and {*map(type, value)} <= records

    def one(validate: FieldLoader) -> FieldLoader:
        return lambda made, value: value if is_valid(value) else validate(made, value)

    return _Check(one, lambda column: column if all(map(is_valid, column)) else None)
