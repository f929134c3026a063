"""Subclasses of str, datetime, Decimal, float and int whose methods lie about the plain value that they hold."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, NoReturn
from unittest.mock import Mock

import attrs


def _lie(self: object, *_: object, **__: object) -> NoReturn:
    raise AssertionError(
        f"the backend called a method of {type(self).__name__}; it has to convert it to the plain value first"
    )


class LyingText(str):
    """A str whose methods claim another text, of any property."""

    __slots__ = ()

    def __str__(self) -> str:
        return "a lie"

    def __repr__(self) -> str:
        return "a lie"

    def __format__(self, spec: str) -> str:
        return "a lie"

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash("a lie")

    def __len__(self) -> int:
        return 7

    def __contains__(self, part: object) -> bool:
        return False

    def isascii(self) -> bool:
        return True

    encode = split = partition = lower = strip = startswith = replace = __iter__ = __getitem__ = _lie


class LyingInstant(datetime):
    """A datetime whose methods claim another instant, as in libraries that freeze or shift time."""

    def __str__(self) -> str:
        return "a lie"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def __sub__(self, other: Any) -> Any:
        return timedelta(0)

    def timestamp(self) -> float:
        return 0.0

    astimezone = utcoffset = isoformat = replace = utctimetuple = __add__ = _lie


class LyingAmount(Decimal):
    """A Decimal whose methods claim another amount."""

    def __str__(self) -> str:
        return "7"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def is_finite(self) -> bool:
        return True

    as_tuple = adjusted = __add__ = __sub__ = __lt__ = __le__ = __gt__ = __ge__ = _lie


class LyingFloat(float):
    """A float whose methods claim another number, as numpy's might."""

    def __str__(self) -> str:
        return "7.0"

    __repr__ = __str__

    def __float__(self) -> float:
        return 7.0

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    __lt__ = __le__ = __gt__ = __ge__ = is_integer = __pos__ = __add__ = _lie


class LyingInteger(int):
    """An int whose methods claim another number."""

    def __str__(self) -> str:
        return "7"

    __repr__ = __str__

    def __int__(self) -> int:
        return 7

    __index__ = __pos__ = __float__ = __add__ = _lie


def members_of(text: str) -> tuple[str, ...]:
    """Return members of two kinds of text enumerations that equal the text."""
    return (
        StrEnum("Theirs", {"MEMBER": text}).MEMBER,  # type: ignore[attr-defined]  # mypy does not know members made at run time
        Enum("Older", {"MEMBER": text}, type=str).MEMBER,  # type: ignore[attr-defined]  # mypy does not know members made at run time
    )


def disguise(value: Any) -> Any:
    """Return the value as an instance of its lying subclass, or None if there is none."""
    match value:
        case str():
            return LyingText(str.__str__(value))
        case datetime():
            local = value.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
            parts = (local.year, local.month, local.day, local.hour, local.minute, local.second, local.microsecond)
            return LyingInstant(*parts, tzinfo=local.tzinfo, fold=local.fold)
        case Decimal():
            return LyingAmount(value)
        case float():
            return LyingFloat(value)
    return None


def disguise_fields(record: Any) -> dict[str, Any]:
    """Return the scalar fields of a record, each as an instance of a lying subclass."""
    values = {field.name: disguise(getattr(record, field.name)) for field in attrs.fields(type(record))}
    return {name: value for name, value in values.items() if value is not None}


IMPOSTORS: tuple[Any, ...] = tuple(Mock(spec=kind) for kind in (str, datetime, Decimal, float, int))
"""Objects that `isinstance` takes for values, and that hold none."""
