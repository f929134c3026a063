"""Checks of arguments of operations: each returns the value to use, or raises a `ValidationError` that names it."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import cast

from aaow_storage._amounts import amount_problem, as_amount
from aaow_storage._enums import SessionStatus
from aaow_storage._records import StreamEvent
from aaow_storage._values import (
    MAX_COUNT,
    MAX_ID_LENGTH,
    as_float,
    as_utc,
    exact_text,
    id_problem,
    instant_problem,
    member_or_same,
    plain_text_problem,
    shown,
)
from aaow_storage.errors import ValidationError


def check_id(operation: str, argument: str, value: object) -> str:
    """Return the id as a plain str.

    Raises:
        ValidationError: it is not a str of 1 to 255 characters, or holds NUL or a lone surrogate.
    """
    if type(value) is str and 1 <= len(value) <= MAX_ID_LENGTH and value.isascii() and "\x00" not in value:
        return value  # the usual case, inline, because each operation takes an id or two
    if (problem := id_problem(value)) is not None:
        raise ValidationError(operation, argument, problem)
    return exact_text(cast("str", value))


def check_record(operation: str, argument: str, value: object, record: type) -> None:
    """Check that an argument is an instance of the record.

    Raises:
        ValidationError: it is something else.
    """
    if not issubclass(type(value), record):  # isinstance() would accept a mock that only names the class
        raise ValidationError(operation, argument, f"must be {record.__name__}, not {type(value).__name__}")


def check_text(operation: str, argument: str, value: object) -> str:
    """Return the text as a plain str.

    Raises:
        ValidationError: it is not a str, or holds NUL or a lone surrogate.
    """
    if (problem := plain_text_problem(value)) is not None:
        raise ValidationError(operation, argument, problem)
    return exact_text(cast("str", value))


def check_instant(operation: str, argument: str, value: datetime) -> datetime:
    """Return the instant in UTC.

    Raises:
        ValidationError: it is not an aware datetime.
    """
    instant = as_utc(value)
    if (problem := instant_problem(instant)) is not None:
        raise ValidationError(operation, argument, problem)
    return instant


def check_sequence(operation: str, argument: str, value: object) -> int:
    """Return the sequence of an event, or 0, which comes before all.

    Raises:
        ValidationError: it is not an int from 0 to 2**63-1.
    """
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise ValidationError(operation, argument, f"must be an int from 0 to 2**63-1, not {shown(value)}")
    return value


def check_events(operation: str, events: object) -> list[StreamEvent]:
    """Return stream events as a list.

    Raises:
        ValidationError: they are not an iterable of stream events, or two of them have one id.
    """
    if isinstance(events, StreamEvent | str) or not isinstance(events, Iterable):
        raise ValidationError(operation, "events", f"must be a list of StreamEvent, not {type(events).__name__}")
    checked: dict[str, StreamEvent] = {}
    for number, event in enumerate(events):
        check_record(operation, f"events[{number}]", event, StreamEvent)
        if event.id in checked:
            raise ValidationError(operation, f"events[{number}]", f"has the id {event.id!r} of an event before it")
        checked[event.id] = event
    return [*checked.values()]


def check_session_status(operation: str, value: object) -> SessionStatus | None:
    """Return the status that a decision sets its session to; None if it sets none.

    Raises:
        ValidationError: it is no status of a session.
    """
    status = None if value is None else member_or_same(SessionStatus, cast("str", value))
    if status is not None and type(status) is not SessionStatus:
        problem = f"{shown(value)} is not one of {', '.join(SessionStatus)}"
        raise ValidationError(operation, "session_status", problem)
    return status


def check_wait(operation: str, value: object) -> float | None:
    """Return how long to wait, in seconds; None if for ever.

    Raises:
        ValidationError: it is not a number of at least 0.
    """
    if value is None:
        return None
    seconds = as_float(cast("float", value)) if issubclass(type(value), int | float) else None
    if type(seconds) is not float or not seconds >= 0:
        raise ValidationError(operation, "timeout", f"must be a number of seconds from 0, or None, not {shown(value)}")
    return seconds


def check_timeout(operation: str, value: object) -> float:
    """Return a timeout in seconds as a float.

    Raises:
        ValidationError: it is not a number above 0.
    """
    seconds = as_float(cast("float", value)) if issubclass(type(value), int | float) else None
    if type(seconds) is not float or not seconds > 0:
        raise ValidationError(operation, "timeout", f"must be a number of seconds above 0, not {shown(value)}")
    return seconds


def positive_amount(operation: str, value: Decimal | float | str) -> Decimal:
    """Return the amount to consume or to add, as a Decimal.

    Raises:
        ValidationError: it is not finite, not above 0, 10**18 or more, or has more than 18 places after the point.
    """
    amount = as_amount(value)
    problem = amount_problem(amount)
    if problem is None and amount <= 0:
        problem = f"must be above 0, not {amount}"
    if problem is not None:
        raise ValidationError(operation, "amount", problem)
    return amount
