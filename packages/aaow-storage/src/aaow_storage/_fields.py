"""What a field of a record takes: converters that make the value, validators that name record and field.

A converter leaves what it cannot convert as it is, so that the validator behind it says what is wrong.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from typing import Any, Protocol, TypeVar, cast

from aaow_storage._json import check_document, check_json, text_problem
from aaow_storage._omitted import OMITTED, REMEDY
from aaow_storage.errors import ValidationError

MAX_ID_LENGTH = 255
MAX_COUNT = 2**63 - 1
AMOUNT_DIGITS = 15
MAX_SHOWN = 60
_EXACT = Context(prec=4 * AMOUNT_DIGITS, traps=[Inexact, InvalidOperation])
MAX_EXPONENT = 500
_WIDE = Context(prec=2 * MAX_EXPONENT + 4 * AMOUNT_DIGITS, traps=[Inexact, InvalidOperation])

EnumT = TypeVar("EnumT", bound=StrEnum)
T = TypeVar("T")


class Named(Protocol):
    """What a validator needs of an attrs attribute."""

    @property
    def name(self) -> str:
        """The name of the field."""


Validator = Callable[[object, Any, Any], None]


def refuse(instance: object, field: Named, problem: str) -> ValidationError:
    """Make the error that names the record and the field."""
    return ValidationError(type(instance).__name__, field.name, problem)


def shown(value: object) -> str:
    """Return a short form of a wrong value for a message."""
    try:
        text = ascii(value)
    except ValueError:  # an int with more digits than Python shows
        return f"this {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


# identifiers and text


def id_problem(value: object) -> str | None:
    """Say why a value cannot be an id, or None where it can."""
    if type(value) is str and 1 <= len(value) <= MAX_ID_LENGTH and value.isascii() and "\x00" not in value:
        return None
    if not isinstance(value, str):
        return f"an id must be str, not {type(value).__name__}"
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        return f"an id must have 1 to {MAX_ID_LENGTH} characters, this has {len(value)}"
    return plain_text_problem(value)


def plain_text_problem(value: object) -> str | None:
    """Say why a value cannot be a plain text, or None where it can."""
    if type(value) is str and value.isascii() and "\x00" not in value:
        return None
    if not isinstance(value, str):
        return f"must be str, not {type(value).__name__}"
    if "\x00" in value:
        return f"must not hold NUL, found at index {value.index(chr(0))}"
    return text_problem(value)


def is_id(instance: object, field: Named, value: Any) -> None:
    """Take an id: 1 to 255 characters, no NUL, no lone surrogate."""
    if (problem := id_problem(value)) is not None:
        raise refuse(instance, field, problem)


def is_text(instance: object, field: Named, value: Any) -> None:
    """Take any text without NUL and lone surrogates."""
    if (problem := plain_text_problem(value)) is not None:
        raise refuse(instance, field, problem)


def optional(validator: Validator) -> Validator:
    """Take None too."""

    def is_none_or(instance: object, field: Named, value: Any) -> None:
        if value is not None:
            validator(instance, field, value)

    return is_none_or


# enumerations


def member_or_same(enum: type[EnumT], value: EnumT | str) -> EnumT:
    """Return the member with that value, or the value as it is for the validator to refuse."""
    if type(value) is enum:
        return value
    try:
        return enum(value)
    except ValueError:
        return cast("EnumT", value)


def is_member(enum: type[StrEnum]) -> Validator:
    """Take a member of the enumeration."""

    def is_member_of_enum(instance: object, field: Named, value: Any) -> None:
        if not isinstance(value, enum):
            raise refuse(instance, field, f"{shown(value)} is not one of {', '.join(enum)}")

    return is_member_of_enum


# instants


def utc(value: datetime) -> datetime:
    """Move an aware instant to UTC."""
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            return value.astimezone(UTC)
        except (OverflowError, ValueError):
            pass
    return value


def utc_or_none(value: datetime | None) -> datetime | None:
    """Move an aware instant to UTC, and keep None."""
    return None if value is None else utc(value)


def is_instant(instance: object, field: Named, value: Any) -> None:
    """Take an aware datetime that UTC can express."""
    if (problem := instant_problem(value)) is not None:
        raise refuse(instance, field, problem)


def instant_problem(value: object) -> str | None:
    """Say why a value, moved to UTC, cannot be an instant, or None where it can."""
    if type(value) is datetime and value.tzinfo is UTC:
        return None
    if not isinstance(value, datetime):
        return f"must be an aware datetime, not {type(value).__name__}"
    if value.tzinfo is None or value.utcoffset() is None:
        return f"{value} has no time zone; pass an aware datetime, such as datetime.now(UTC)"
    if value.tzinfo is not UTC:
        return f"{value} is outside the years 1 to 9999 in UTC"
    return None


# numbers


def is_count(instance: object, field: Named, value: Any) -> None:
    """Take an int from 0 to 2**63-1."""
    if type(value) is not int:
        raise refuse(instance, field, f"must be int, not {type(value).__name__}")
    if not 0 <= value <= MAX_COUNT:
        raise refuse(instance, field, f"{shown(value)} is not from 0 to 2**63-1")


def as_float(value: float | None) -> float | None:
    """Make an int a float, where that is exact enough to be finite."""
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return value
    return value


def is_duration(instance: object, field: Named, value: Any) -> None:
    """Take a finite float of 0 or more."""
    if type(value) is not float or not math.isfinite(value) or value < 0:
        raise refuse(instance, field, f"{shown(value)} is not a finite number of 0 or more")


def amount(value: Decimal | float | str) -> Decimal:
    """Make an amount, a float through its shortest decimal form."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except (InvalidOperation, ValueError):
            pass
    return cast("Decimal", value)


def amount_problem(value: object) -> str | None:
    """Say why a value cannot be an amount, or None where it can."""
    if not isinstance(value, Decimal):
        return f"{shown(value)} is not an amount; use Decimal, int, float or a numeral as str"
    if not value.is_finite():
        return f"{value} is not a finite amount"
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    if len(digits) > AMOUNT_DIGITS:
        return f"{shown(str(value))} has {len(digits)} significant digits, at most {AMOUNT_DIGITS} are kept exactly"
    if abs(value.adjusted()) > MAX_EXPONENT:
        return f"{shown(str(value))} is out of range: its exponent is beyond {MAX_EXPONENT}"
    return None


def is_amount(instance: object, field: Named, value: Any) -> None:
    """Take a finite amount of 0 or more with at most 15 significant digits."""
    if (problem := amount_problem(value)) is not None:
        raise refuse(instance, field, problem)
    if cast("Decimal", value) < 0:
        raise refuse(instance, field, f"{value} is below 0")


def exact_sum(one: Decimal, other: Decimal) -> Decimal | None:
    """Add two amounts, or return None where the sum has too many digits to be exact."""
    try:
        total = _EXACT.add(one, other)
    except (Inexact, InvalidOperation):
        return None
    return total if amount_problem(total) is None else None


def difference(one: Decimal, other: Decimal) -> Decimal:
    """Subtract one amount from another."""
    return _WIDE.subtract(one, other)


# documents and parts


def is_json(instance: object, field: Named, value: Any) -> None:
    """Take any JSON value."""
    check_json(value, record=type(instance).__name__, field=field.name)


def is_json_object(instance: object, field: Named, value: Any) -> None:
    """Take a dict that is JSON."""
    if type(value) is not dict:
        raise refuse(instance, field, f"must be a JSON object (dict), not {type(value).__name__}")
    check_json(value, record=type(instance).__name__, field=field.name)


def is_document(instance: object, field: Named, value: Any) -> None:
    """Take a dict that is JSON, a large one that many records are likely to have."""
    if value is OMITTED:
        raise refuse(instance, field, f"was left out by QueryFilter(documents=False); {REMEDY}")
    if type(value) is not dict:
        raise refuse(instance, field, f"must be a JSON object (dict), not {type(value).__name__}")
    check_document(value, record=type(instance).__name__, field=field.name)


def tuple_or_none(value: Iterable[T] | None) -> tuple[T, ...] | None:
    """Make a list a tuple, and keep None."""
    return tuple(value) if isinstance(value, list) else cast("tuple[T, ...] | None", value)


def mapping_copy(value: Mapping[str, T]) -> dict[str, T]:
    """Copy a mapping, so that a later change to the caller's own has no effect."""
    return dict(value) if isinstance(value, Mapping) else value


def is_instance(part: type) -> Validator:
    """Take an instance of that record."""

    def is_instance_of_part(instance: object, field: Named, value: Any) -> None:
        if not isinstance(value, part):
            raise refuse(instance, field, f"must be {part.__name__}, not {type(value).__name__}")

    return is_instance_of_part


def is_tuple_of(part: type) -> Validator:
    """Take a tuple of that record."""

    def is_tuple_of_part(instance: object, field: Named, value: Any) -> None:
        if not isinstance(value, tuple):
            raise refuse(instance, field, f"must be a tuple or list of {part.__name__}, not {type(value).__name__}")
        for index, item in enumerate(value):
            if not isinstance(item, part):
                problem = f"item {index} must be {part.__name__}, not {type(item).__name__}"
                raise refuse(instance, field, problem)

    return is_tuple_of_part


def is_bool(instance: object, field: Named, value: Any) -> None:
    """Take True or False."""
    if type(value) is not bool:
        raise refuse(instance, field, f"must be bool, not {type(value).__name__}")
