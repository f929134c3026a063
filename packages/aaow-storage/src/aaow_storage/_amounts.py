"""Amounts: exact decimals with at most 18 digits before the point and 18 after it, and their sums.

A converter returns unchanged what it cannot convert; the check that follows says what is wrong.

Equal amounts have one form, so that they look the same wherever they were stored: no digits that a `Decimal` may have
beyond the value (`12.50` becomes `12.5`), and no exponent in place of zeros before the point (`1E+3` becomes `1000`).
"""

from decimal import (
    MAX_EMAX,
    MAX_PREC,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DecimalException,
    Inexact,
    InvalidOperation,
    Rounded,
)
from typing import Any, cast

from aaow_storage._values import MAX_SHOWN, shown

MAX_AMOUNT_DIGITS = 18
"""How many digits an amount has at most before the point, and how many after it."""

_LIMIT = Decimal(10**MAX_AMOUNT_DIGITS)
_STEP = Decimal(f"1E-{MAX_AMOUNT_DIGITS}")
_ZERO = Decimal(0)


def _context(digits: int, *traps: type[DecimalException]) -> Context:
    """Return a context of its own for these computations: the caller's may round to a few digits."""
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[*traps])


_EXACT = _context(2 * MAX_AMOUNT_DIGITS, Rounded, InvalidOperation)
_STEPS = _context(2 * MAX_AMOUNT_DIGITS, Inexact, InvalidOperation)
_NEAREST = _context(2 * MAX_AMOUNT_DIGITS, InvalidOperation)
_WIDE = _context(6 * MAX_AMOUNT_DIGITS, Inexact, InvalidOperation)
_ANY_LENGTH = _context(MAX_PREC, InvalidOperation)


def as_amount(value: Decimal | float | str) -> Decimal:
    """Convert a number or numeral to a Decimal in the one form of its value.

    A float becomes the shortest decimal that is equal to it, rounded half to even at the 18th place after the point.
    """
    kind = type(value)
    if kind is Decimal:
        return _in_one_form(cast("Decimal", value))
    plain: Any = value
    if issubclass(kind, Decimal):
        return _in_one_form(Decimal(plain))
    if issubclass(kind, float):
        return _in_one_form(_nearest(Decimal(repr(float.__pos__(plain)))))
    if issubclass(kind, str):
        plain = str.__str__(plain)
    elif issubclass(kind, int) and kind is not bool:
        plain = int.__pos__(plain)
    else:
        return cast("Decimal", value)
    try:
        return _in_one_form(Decimal(str(plain)))
    except (InvalidOperation, ValueError):
        return cast("Decimal", value)


def as_amount_or_none(value: Decimal | float | str | None) -> Decimal | None:
    """Convert a number or numeral to a Decimal, and keep None."""
    return None if value is None else as_amount(value)


def _in_one_form(value: Decimal) -> Decimal:
    """Return an equal amount without superfluous digits and exponent; return unchanged what is no amount."""
    try:
        return _EXACT.add(_EXACT.normalize(value), _ZERO)
    except (Rounded, InvalidOperation):  # too many digits, but they may all be zeros
        pass
    try:
        return _EXACT.add(_ANY_LENGTH.normalize(value), _ZERO)
    except (Rounded, InvalidOperation):
        return value


def _nearest(value: Decimal) -> Decimal:
    try:
        return _NEAREST.quantize(value, _STEP)
    except InvalidOperation:
        return value


def amount_problem(value: object) -> str | None:
    """Return what is wrong with an amount that `as_amount` returned, or None."""
    if type(value) is int:  # of more than 4,300 digits, so that Python makes no text and no Decimal of it
        return _too_large("this int")
    if type(value) is not Decimal:
        return f"must be an amount (Decimal, int, float, or a numeral as str), not {shown(value)}"
    if not value.is_finite():
        return f"must be a finite amount, not {value}"
    try:
        _STEPS.quantize(value, _STEP)
    except (Inexact, InvalidOperation):
        return _too_large(_digits(value)) if value.copy_abs() >= _LIMIT else _too_fine(value)
    return None


def _too_large(value: str) -> str:
    return f"must be below 10**{MAX_AMOUNT_DIGITS}, not {value}; count in a larger unit"


def _too_fine(value: Decimal) -> str:
    try:
        nearest = _in_one_form(_NEAREST.quantize(value, _STEP))
    except InvalidOperation:  # it would become 10**18
        nearest = _EXACT.subtract(_LIMIT, _STEP)
    problem = f"has more than {MAX_AMOUNT_DIGITS} places after the point"
    remedy = f"round it, as in round(cost, 6) or Decimal.quantize, for instance to Decimal('{nearest}')"
    return f"{_digits(value)} {problem}; {remedy}"


def _digits(value: Decimal) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def exact_sum(one: Decimal, other: Decimal) -> Decimal | None:
    """Return the sum of two amounts, or None if it is 10**18 or more."""
    total = _in_one_form(_WIDE.add(one, other))
    return total if total < _LIMIT else None


def difference(one: Decimal, other: Decimal) -> Decimal:
    """Return one amount minus another, exactly."""
    return _in_one_form(_WIDE.subtract(one, other))
