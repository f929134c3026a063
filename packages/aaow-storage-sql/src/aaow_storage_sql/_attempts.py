"""Operations that are one statement, or are tried as one first.

A statement that fails undoes itself. So one that is all of an operation needs no transaction and no savepoint, which
together cost more than many a statement does.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeVar

AnyOperation = Callable[..., Any]
Operation = TypeVar("Operation", bound=AnyOperation)


class Attempt(Enum):
    """What an attempt returns where it did nothing."""

    NOT_DONE = "not done"


NOT_DONE: Final = Attempt.NOT_DONE

_attempts: dict[AnyOperation, AnyOperation] = {}


def one_statement(operation: Operation) -> Operation:
    """Mark an operation that changes the store by one statement alone, and reads nothing before it."""
    _attempts[operation] = operation
    return operation


def tried_first_as(attempt: AnyOperation) -> Callable[[Operation], Operation]:
    """Name a function of the same parameters that does the operation in one statement, or returns `NOT_DONE`."""

    def mark(operation: Operation) -> Operation:
        _attempts[operation] = attempt
        return operation

    return mark


_repeatable: set[AnyOperation] = set()


def repeatable(operation: Operation) -> Operation:
    """Mark an operation that comes to the same when it is run twice: it saves a record whole."""
    _repeatable.add(operation)
    return operation


def is_repeatable(operation: AnyOperation) -> bool:
    """Say whether an operation is marked like that."""
    return operation in _repeatable


def attempt_at(operation: AnyOperation) -> AnyOperation | None:
    """Return what does the operation in one statement, or None."""
    return _attempts.get(operation)
