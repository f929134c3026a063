"""Running a transaction again: after contention, and while the store cannot be reached.

A transaction is run again only if all of it was rolled back, as its `outcome` says, and its error says that another
attempt may succeed.

asyncio and random are imported by the functions that need them, because their imports are slow, and importing the
interface needs neither.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from enum import Enum
from typing import Any, Protocol, Self, TypeVar

from aaow_storage._enums import TransactionOutcome
from aaow_storage._values import as_float, shown
from aaow_storage.errors import (
    ConflictError,
    ContentionError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    TransactionError,
    ValidationError,
)

_ROLLED_BACK = frozenset({TransactionOutcome.ROLLED_BACK, TransactionOutcome.ABORTED, TransactionOutcome.TIMED_OUT})
_FIRST_PAUSE_S = 0.01
_MAX_PAUSE_S = 1.0
_MAX_DOUBLINGS = 10


class OpenTransaction(AbstractAsyncContextManager[Any], Protocol):
    """The part of a `Transaction` that this module uses."""

    @property
    def outcome(self) -> TransactionOutcome | None:
        """How the transaction ended, None while it is open."""

    async def rollback(self) -> None:
        """Undo all writes of the transaction, and end it."""

    async def __aenter__(self) -> Self:
        """Return the transaction."""


T = TypeVar("T")
TransactionT = TypeVar("TransactionT", bound=OpenTransaction)


class _Reason(Enum):
    """Why a transaction is run again."""

    CONTENTION = "contention"
    OUTAGE = "outage"


class _LostError(Exception):
    """An attempt was rolled back, and another may succeed. The error of the attempt is the cause."""

    def __init__(self, error: Exception, reason: _Reason) -> None:
        super().__init__(error, reason)
        self.error = error
        self.reason = reason


async def run_transaction(
    begin: Callable[[], Awaitable[TransactionT]],
    work: Callable[[TransactionT], Awaitable[T]],
    attempts: int,
    outage: float,
) -> T:
    """Run the work in a transaction, again after contention and during an outage; return the result of the work.

    Raises:
        ValidationError: an argument is wrong.
        Exception: that of the last attempt, or of one that must not be repeated.
    """
    import asyncio  # noqa: PLC0415 - see above

    _check(work, attempts, outage)
    contentions = failures = 0
    unavailable_until: float | None = None
    while True:
        try:
            return await _attempt(begin, work)
        except _LostError as lost:
            error, reason = lost.error, lost.reason
        if reason is _Reason.CONTENTION:
            contentions += 1
            failures, unavailable_until = 0, None
            pause, is_last = _pause(contentions), contentions >= attempts
        else:
            failures += 1
            at = time.monotonic()
            unavailable_until = at + outage if unavailable_until is None else unavailable_until
            pause, is_last = min(_pause(failures), unavailable_until - at), at >= unavailable_until
        if is_last:
            if contentions + failures > 1:
                error.add_note(f"The transaction was run {contentions + failures} times.")
            raise error
        await asyncio.sleep(pause)


def _check(work: object, attempts: object, outage: object) -> None:
    if not callable(work):
        problem = f"must be a coroutine function that takes the transaction, not {type(work).__name__}"
        raise ValidationError("transact", "work", problem)
    if type(attempts) is not int or attempts < 1:
        raise ValidationError("transact", "attempts", f"must be an int of 1 or more, not {shown(attempts)}")
    is_number = issubclass(type(outage), int | float) and type(outage) is not bool
    if not is_number or not as_float(outage) >= 0:  # type: ignore[operator,arg-type]  # a number
        raise ValidationError("transact", "outage", f"must be a number of seconds of 0 or more, not {shown(outage)}")


def _pause(failures: int) -> float:
    """Return a random pause, in seconds, from 0 to a limit that doubles with each failure (full jitter)."""
    import random  # noqa: PLC0415 - see above

    limit = min(_FIRST_PAUSE_S * 2 ** min(failures, _MAX_DOUBLINGS), _MAX_PAUSE_S)
    return random.uniform(0, limit)  # noqa: S311 - not a secret


async def _attempt(begin: Callable[[], Awaitable[TransactionT]], work: Callable[[TransactionT], Awaitable[T]]) -> T:
    """Run the work in a transaction once.

    Raises:
        _LostError: all of it was rolled back, and another attempt may succeed.
    """
    is_working = False
    try:
        transaction = await begin()
    except Exception as error:
        if (reason := _reason(error, None, is_working=False)) is None:
            raise
        raise _LostError(error, reason) from error
    try:
        async with transaction:
            is_working = True
            done = await work(transaction)
            is_working = False
    except Exception as error:
        if transaction.outcome is None:
            with suppress(StorageError):  # then the outcome stays unknown
                await transaction.rollback()
        is_undone = transaction.outcome in _ROLLED_BACK
        reason = _reason(error, transaction.outcome, is_working=is_working) if is_undone else None
        if reason is None:
            raise
        raise _LostError(error, reason) from error
    return done


def _reason(error: BaseException, outcome: TransactionOutcome | None, *, is_working: bool) -> _Reason | None:
    """Return why a transaction that was rolled back with this error may be run again; None if it must not be."""
    if isinstance(error, BaseExceptionGroup):
        reasons = {_reason(each, outcome, is_working=is_working) for each in error.exceptions}
        return None if None in reasons else _Reason.OUTAGE if _Reason.OUTAGE in reasons else _Reason.CONTENTION
    if not isinstance(error, StorageError):
        return None
    if isinstance(error, ConflictError):  # of the begin or the commit, it cannot be about a record
        return _Reason.CONTENTION if isinstance(error, ContentionError) or not is_working else None
    if isinstance(error, TransactionError) and outcome is TransactionOutcome.ABORTED:
        cause = error.__cause__
        is_outage = isinstance(cause, StorageUnavailableError) and not isinstance(cause, StoreBusyError)
        return _Reason.OUTAGE if is_outage else _Reason.CONTENTION
    if not error.is_retryable:
        return None
    is_outage = isinstance(error, StorageUnavailableError) and not isinstance(error, StoreBusyError)
    return _Reason.OUTAGE if is_outage else _Reason.CONTENTION
