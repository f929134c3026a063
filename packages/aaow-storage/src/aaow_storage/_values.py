"""Values of fields and arguments: how each is converted, what is wrong with one, and how it is shown in a message.

A converter returns unchanged what it cannot convert; the check that follows says what is wrong.

An instance of a subclass (a `StrEnum` of the caller's own, a pendulum datetime, a numpy float) is converted to the
plain value it holds, whatever methods its class overrides. So every backend stores the same, and what is read back has
exactly the types of the fields.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar, cast

from aaow_storage._json import text_problem
from aaow_storage._urls import redacted_value

MAX_ID_LENGTH = 255
MAX_COUNT = 2**63 - 1
MAX_SHOWN = 60
"""How many characters of a value a message shows."""

_DATETIME: type[datetime] = datetime.__mro__[-3]
"""The class itself: a library that freezes time in a test may replace the name `datetime` by a subclass."""

EnumT = TypeVar("EnumT", bound=StrEnum)
T = TypeVar("T")


def shown(value: object) -> str:
    """Return a value as a message shows it: in ASCII, at most 60 characters, without the password of a URL."""
    try:
        text = ascii(redacted_value(exact_text(value)) if isinstance(value, str) else value)
    except Exception:  # noqa: BLE001 - the value's own class may raise anything, and a huge int raises too
        return f"this {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


# identifiers and text


def exact_text(value: str) -> str:
    """Return the plain str that a str, or an instance of a subclass, holds."""
    return value if type(value) is str else str.__str__(value)


def id_problem(value: object) -> str | None:
    """Return what is wrong with an id, or None."""
    if type(value) is str and 1 <= len(value) <= MAX_ID_LENGTH and value.isascii() and "\x00" not in value:
        return None
    if not issubclass(type(value), str):
        return f"an id must be str, not {type(value).__name__}"
    text = exact_text(cast("str", value))
    if not 1 <= len(text) <= MAX_ID_LENGTH:
        return f"an id must have 1 to {MAX_ID_LENGTH} characters, not {len(text)}"
    return plain_text_problem(text)


def plain_text_problem(value: object) -> str | None:
    """Return what is wrong with a text, or None."""
    if type(value) is str and value.isascii() and "\x00" not in value:
        return None
    if not issubclass(type(value), str):
        return f"must be str, not {type(value).__name__}"
    text = exact_text(cast("str", value))
    if "\x00" in text:
        return f"must not hold NUL, found at index {text.index(chr(0))}; remove it"
    return text_problem(text)


# enumerations


def member_or_same(enum: type[EnumT], value: EnumT | str) -> EnumT:
    """Return the member with that value; if there is none, return the value for the validator to refuse."""
    if type(value) is enum or not issubclass(type(value), str):
        return cast("EnumT", value)
    try:
        return enum(exact_text(value))
    except ValueError:
        return cast("EnumT", value)


# instants


def as_utc(value: datetime, *, _exact: type[datetime] = _DATETIME) -> datetime:
    """Convert an aware datetime to UTC."""
    if type(value) is _exact and value.tzinfo is UTC:
        return value
    if not issubclass(type(value), _exact):
        return value
    if type(value) is not _exact:
        value = _exact.combine(_exact.date(value), _exact.timetz(value))
    try:
        return value if value.utcoffset() is None else value.astimezone(UTC)
    except Exception:  # noqa: BLE001 - a time zone of the caller's may raise anything; the validator refuses the value
        return value


def as_utc_or_none(value: datetime | None) -> datetime | None:
    """Convert an aware datetime to UTC, and keep None."""
    return None if value is None else as_utc(value)


def instant_problem(value: object, *, _exact: type[datetime] = _DATETIME) -> str | None:
    """Return what is wrong with an instant that `as_utc` returned, or None."""
    if type(value) is not _exact:
        return f"must be an aware datetime, such as datetime.now(UTC), not {type(value).__name__}"
    if value.tzinfo is UTC:
        return None
    try:
        is_naive = value.utcoffset() is None
        text = str(value)
    except Exception as error:  # noqa: BLE001 - a time zone of the caller's may raise anything
        return f"its time zone raises {type(error).__name__}; pass an aware datetime, such as datetime.now(UTC)"
    if is_naive:
        return f"{text} has no time zone; pass an aware datetime, such as datetime.now(UTC)"
    return f"{text} is outside the years 1 to 9999 in UTC"


# numbers


def as_float(value: float | None) -> float | None:
    """Convert an int to a float, unless it is too large; keep None, and leave anything else as it is."""
    kind = type(value)
    if kind is float or value is None or kind is bool:
        return value
    try:
        if issubclass(kind, int):
            return float(int.__pos__(cast("int", value)))
        return float.__pos__(value) if issubclass(kind, float) else value
    except OverflowError:
        return value


# documents and parts


def as_tuple_or_none(value: Iterable[T] | None) -> tuple[T, ...] | None:
    """Convert a list or tuple to a plain tuple, and keep None."""
    if value is None or type(value) is tuple:
        return value
    return tuple(value) if issubclass(type(value), list | tuple) else cast("tuple[T, ...] | None", value)


def copy_mapping(value: Mapping[str, T]) -> dict[str, T]:
    """Return a dict copy of a mapping, so that later changes by the caller have no effect."""
    if not isinstance(value, Mapping):
        return value
    copy = dict(value)
    if set(map(type, copy)) <= {str}:
        return copy
    return {exact_text(key) if issubclass(type(key), str) else key: part for key, part in copy.items()}
