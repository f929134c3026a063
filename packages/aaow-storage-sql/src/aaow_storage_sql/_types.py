"""Column types: how the values of a record become what a database holds, and come back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import dumps, loads

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime, as the number of microseconds since 1970 in UTC: exact, small, and in order."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Count the microseconds."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return the datetime, in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class EncodedJSON:
    """A JSON value that was encoded already."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class JSONText(sa.TypeDecorator[Any]):
    """A JSON value as compact text; null is NULL. `field` names it in the error for a value that is not JSON."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, record: str, field: str) -> None:
        super().__init__()
        self.record = record
        self.field = field

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Encode the value, strictly, unless it is encoded."""
        if value is None:
            return None
        return value.text if type(value) is EncodedJSON else self.encoded(value).text

    def encoded(self, value: Any) -> EncodedJSON:
        """Encode the value.

        Raises:
            ValidationError: it is not JSON.
        """
        return EncodedJSON(dumps(value, record=self.record, field=self.field))

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """Decode the text."""
        return None if value is None else loads(value)


class Amount(sa.TypeDecorator[Decimal]):
    """A decimal amount: text where the database has no exact numbers. Compare it through `Dialect.amount`."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> str | None:
        """Write the amount as a numeral."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """Read the numeral."""
        return None if value is None else Decimal(value)
