"""Values of subclasses whose methods lie about the plain value that they hold."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, NoReturn
from unittest.mock import Mock

import attrs


def _lie(self: object, *_: object, **__: object) -> NoReturn:
    raise AssertionError(f"{type(self).__name__} was asked for what it holds")


class LyingText(str):
    """A text that says to be another, and to be fit for everything."""

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
    """An instant that says to be another, as those of libraries do that freeze or shift time."""

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
    """An amount that says to be another."""

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
    """A float that says to be another, as those of numpy might."""

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
    """An integer that says to be another."""

    def __str__(self) -> str:
        return "7"

    __repr__ = __str__

    def __int__(self) -> int:
        return 7

    __index__ = __pos__ = __float__ = __add__ = _lie


def members_of(text: str) -> tuple[str, ...]:
    """Return members of enumerations of a caller's own that are that text too."""
    return (
        StrEnum("Theirs", {"MEMBER": text}).MEMBER,  # type: ignore[attr-defined]  # made just now
        Enum("Older", {"MEMBER": text}, type=str).MEMBER,  # type: ignore[attr-defined]  # made just now
    )


def disguise(value: Any) -> Any:
    """Return the value as an instance of a subclass; None for one that has no subclass here."""
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
    """Return the scalar fields of a record, each in disguise."""
    values = {field.name: disguise(getattr(record, field.name)) for field in attrs.fields(type(record))}
    return {name: value for name, value in values.items() if value is not None}


IMPOSTORS: tuple[Any, ...] = tuple(Mock(spec=kind) for kind in (str, datetime, Decimal, float, int))
"""What `isinstance` takes for values, and what holds none."""
