"""Validators of the fields of records; each raises a `ValidationError` that names the record and the field."""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from aaow_storage._amounts import amount_problem
from aaow_storage._json import check_document, check_json
from aaow_storage._omitted import OMITTED, REMEDY
from aaow_storage._values import (
    MAX_COUNT,
    MAX_ID_LENGTH,
    exact_text,
    id_problem,
    instant_problem,
    plain_text_problem,
    shown,
)
from aaow_storage.errors import ValidationError

Validator = Callable[[object, Any, Any], None]

CURRENCY_LENGTH = 3


class Named(Protocol):
    """The part of an attrs attribute that a validator uses."""

    @property
    def name(self) -> str:
        """The name of the field."""


def invalid(instance: object, field: Named, problem: str) -> ValidationError:
    """Return the error that names the record and the field."""
    return ValidationError(type(instance).__name__, field.name, problem)


def is_id(instance: object, field: Named, value: Any) -> None:
    """Accept an id: 1 to 255 characters, no NUL, no lone surrogate."""
    if type(value) is str and 1 <= len(value) <= MAX_ID_LENGTH and value.isascii() and "\x00" not in value:
        return
    if (problem := id_problem(value)) is not None:
        raise invalid(instance, field, problem)
    _make_exact(instance, field, value)


def is_text(instance: object, field: Named, value: Any) -> None:
    """Accept any text without NUL and lone surrogates."""
    if type(value) is str and value.isascii() and "\x00" not in value:
        return
    if (problem := plain_text_problem(value)) is not None:
        raise invalid(instance, field, problem)
    _make_exact(instance, field, value)


def _make_exact(instance: object, field: Named, value: str) -> None:
    """Replace a text of a subclass of str, in the record that is being built, by the plain str that it holds.

    A converter would do the same, but would run for every text of every record, and almost none needs it.
    """
    if type(value) is not str:
        object.__setattr__(instance, field.name, exact_text(value))


def optional(validator: Validator) -> Validator:
    """Return a validator that accepts None too."""

    def is_none_or(instance: object, field: Named, value: Any) -> None:
        if value is not None:
            validator(instance, field, value)

    return is_none_or


def is_member(enum: type[StrEnum]) -> Validator:
    """Return a validator that accepts members of the enumeration."""

    def is_member_of_enum(instance: object, field: Named, value: Any) -> None:
        if type(value) is not enum:
            raise invalid(instance, field, f"{shown(value)} is not one of {', '.join(enum)}")

    return is_member_of_enum


def is_instant(instance: object, field: Named, value: Any) -> None:
    """Accept an aware datetime that UTC can express."""
    if (problem := instant_problem(value)) is not None:
        raise invalid(instance, field, problem)


def is_count(instance: object, field: Named, value: Any) -> None:
    """Accept an int from 0 to 2**63-1."""
    if type(value) is not int:
        raise invalid(instance, field, f"must be int, not {type(value).__name__}")
    if not 0 <= value <= MAX_COUNT:
        raise invalid(instance, field, f"must be from 0 to 2**63-1, not {shown(value)}")


def is_duration(instance: object, field: Named, value: Any) -> None:
    """Accept a finite float of 0 or more."""
    if type(value) is not float or not math.isfinite(value) or value < 0:
        raise invalid(instance, field, f"must be a finite number of 0 or more, not {shown(value)}")


def is_amount(instance: object, field: Named, value: Any) -> None:
    """Accept an amount from 0 to below 10**18, with at most 18 places after the point."""
    if (problem := amount_problem(value)) is not None:
        raise invalid(instance, field, problem)
    if value < 0:
        raise invalid(instance, field, f"must be 0 or more, not {value}")


def is_currency(instance: object, field: Named, value: Any) -> None:
    """Accept three capital letters beside an amount in `cost`, and None without one."""
    cost = getattr(instance, "cost")  # noqa: B009 - of the records that have it
    if value is None:
        if cost is not None:
            raise invalid(instance, field, f"is missing for the cost {cost}; name it, such as 'USD'")
        return
    is_text(instance, field, value)
    value = exact_text(value)
    if not (len(value) == CURRENCY_LENGTH and value.isascii() and value.isalpha() and value.isupper()):
        raise invalid(instance, field, f"must be three capital letters, such as 'USD', not {shown(value)}")
    if cost is None:
        raise invalid(instance, field, f"{shown(value)} stands without a cost; set cost too, or leave both out")


def is_json(instance: object, field: Named, value: Any) -> None:
    """Accept any JSON value."""
    if value is None:
        return  # the usual value of most such fields
    check_json(value, record=type(instance).__name__, field=field.name)


def is_json_object(instance: object, field: Named, value: Any) -> None:
    """Accept a dict that is JSON."""
    if type(value) is not dict:
        raise invalid(instance, field, f"must be a JSON object (dict), not {type(value).__name__}")
    check_json(value, record=type(instance).__name__, field=field.name)


def is_document(instance: object, field: Named, value: Any) -> None:
    """Accept a dict that is JSON; an equal document that was checked recently is not walked through again."""
    if value is OMITTED:
        raise invalid(instance, field, f"was left out by QueryFilter(documents=False); {REMEDY}")
    if type(value) is not dict:
        raise invalid(instance, field, f"must be a JSON object (dict), not {type(value).__name__}")
    check_document(value, record=type(instance).__name__, field=field.name)


def is_instance(part: type) -> Validator:
    """Return a validator that accepts instances of a record."""

    def is_instance_of_part(instance: object, field: Named, value: Any) -> None:
        if not issubclass(type(value), part):
            raise invalid(instance, field, f"must be {part.__name__}, not {type(value).__name__}")

    return is_instance_of_part


def is_tuple_of(part: type) -> Validator:
    """Return a validator that accepts tuples of instances of a record."""

    def is_tuple_of_part(instance: object, field: Named, value: Any) -> None:
        if not isinstance(value, tuple):
            raise invalid(instance, field, f"must be a tuple or list of {part.__name__}, not {type(value).__name__}")
        for index, item in enumerate(value):
            if not issubclass(type(item), part):
                problem = f"item {index} must be {part.__name__}, not {type(item).__name__}"
                raise invalid(instance, field, problem)

    return is_tuple_of_part


def is_bool(instance: object, field: Named, value: Any) -> None:
    """Accept True or False."""
    if type(value) is not bool:
        raise invalid(instance, field, f"must be bool, not {type(value).__name__}")
