"""Column types, which convert the values of records to the values of a database, and back.

A stored value that cannot be converted is returned as it is: the record then refuses it, with an error that names the
field.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import dumps, loads
from aaow_storage.errors import CorruptDataError
from aaow_storage_sql._compression import compressed, compressed_bytes, decompressed
from aaow_storage_sql._schema.families import (
    AMOUNT,
    AMOUNT_DIGITS,
    DATA,
    DOCUMENT,
    INSTANT,
    MARIADB,
    SQLITE,
    is_of,
)

Processor = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Truth(sa.Boolean):
    """True or False. Drivers accept both as they are, and the record has checked them."""

    def bind_processor(self, dialect: sa.Dialect) -> None:
        """Leave the value to the driver."""

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Processor | None:
        """Return the function that makes True of 1 and False of 0, unless the database has booleans."""
        return None if dialect.supports_native_boolean else _truth_of


def _truth_of(value: Any) -> Any:
    return bool(value) if type(value) is int and value in {0, 1} else value


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime in UTC: `timestamptz` in PostgreSQL, elsewhere the number of microseconds since 1970."""

    impl = INSTANT
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Processor | None:
        """Return the function that counts the microseconds."""
        return _microseconds_of if self._is_counted(dialect) else None

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Processor | None:
        """Return the function that makes the datetime."""
        return _instant_of if self._is_counted(dialect) else None

    def _is_counted(self, dialect: sa.Dialect) -> bool:
        return isinstance(self.impl_instance.dialect_impl(dialect), sa.BigInteger)


def _microseconds_of(value: datetime | None) -> int | None:
    return None if value is None else (value - _EPOCH) // _MICROSECOND


def _instant_of(value: Any) -> Any:
    if type(value) is not int:
        return value
    try:
        return _EPOCH + value * _MICROSECOND
    except OverflowError:
        return value


class JSONText(sa.TypeDecorator[Any]):
    """A JSON value as compact text; null is NULL. Errors name the `record` and the `field`."""

    impl = DOCUMENT
    cache_ok = True

    def __init__(self, record: str, field: str) -> None:
        super().__init__()
        self.record = record
        self.field = field

    def bind_processor(self, dialect: sa.Dialect) -> Processor:
        """Return the function that encodes a value, strictly."""
        return self._text_of

    def _text_of(self, value: Any) -> str | None:
        return None if value is None else dumps(value, record=self.record, field=self.field)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Processor:
        """Return the function that decodes the text."""
        return _decoded


def _decoded(text: Any) -> Any:
    if type(text) is str:
        return loads(text)
    if text is None:
        return None
    raise CorruptDataError(f"a stored document is not text, but {type(text).__name__}")


class CompressedText(sa.TypeDecorator[str]):
    """Text that is stored compressed if that is shorter.

    SQLite stores one that is not compressed as text, because its columns take any type; others store all as bytes.
    PostgreSQL would compress only rows above 2 kB by itself, and not as well.
    """

    impl = DATA
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Processor:
        """Return the function that compresses a text."""
        return compressed if is_of(dialect, SQLITE) else compressed_bytes

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Processor:
        """Return the function that restores it."""
        return decompressed


class Amount(sa.TypeDecorator[Decimal]):
    """A decimal amount: an exact number, or text of one width, which compares and sorts by value.

    The text has 18 digits, a point and 18 digits: `000000000000000012.500000000000000000` is 12.5.
    """

    impl = AMOUNT
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Processor | None:
        """Return the function that writes the amount as text of that width."""
        return _padded if self._is_text(dialect) else None

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Processor | None:
        """Return the function that reads the text, or drops the zeros that a fixed number of places ends with."""
        if self._is_text(dialect):
            return _amount_of
        return _without_zeros if is_of(dialect, MARIADB) else None

    def _is_text(self, dialect: sa.Dialect) -> bool:
        return isinstance(self.impl_instance.dialect_impl(dialect), sa.Text)


AMOUNT_WIDTH = 2 * AMOUNT_DIGITS + 1
"""Of the text of an amount."""
_FORMAT = f"0{AMOUNT_WIDTH}.{AMOUNT_DIGITS}f"


def _padded(value: Decimal | None) -> str | None:
    """Return the text; that of a negative amount, which a filter may name, is less than every other."""
    return None if value is None else format(value, _FORMAT)


def _amount_of(text: Any) -> Any:
    if type(text) is not str:
        return text
    whole, _, places = text.partition(".")
    if len(text) == AMOUNT_WIDTH and len(places) == AMOUNT_DIGITS and text.isascii() and (whole + places).isdecimal():
        return Decimal(text.rstrip("0"))
    raise CorruptDataError(f"a stored amount does not have {AMOUNT_DIGITS} digits on each side of a point")


def _without_zeros(value: Any) -> Any:
    if type(value) is not Decimal:
        return value
    text = format(value, "f")
    return Decimal(text.rstrip("0")) if "." in text else value
