"""Column types: how the values of a record become what a database holds, and come back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aaow_storage.authoring import dumps, loads

LONGEST_ID = 255

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def id_text() -> sa.types.TypeEngine[str]:
    """Return the type of ids: they sort by code point."""
    return sa.String(LONGEST_ID).with_variant(postgresql.VARCHAR(LONGEST_ID, collation="C"), "postgresql")


def plain_text() -> sa.types.TypeEngine[str]:
    """Return the type of text: it sorts by code point."""
    return sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def number() -> sa.types.TypeEngine[float]:
    """Return the type of numbers that are not exact."""
    return sa.Double().with_variant(AsIs("DOUBLE PRECISION"), "postgresql")


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime, in UTC.

    It is `timestamptz` in PostgreSQL; elsewhere the number of microseconds since 1970: exact, small, and in order.
    """

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the database's own type."""
        return dialect.type_descriptor(sa.TIMESTAMP(timezone=True) if _has_instants(dialect) else sa.BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | int | None:
        """Count the microseconds."""
        return value if value is None or _has_instants(dialect) else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Return the datetime, in UTC."""
        return value if value is None or _has_instants(dialect) else _EPOCH + timedelta(microseconds=value)


def _has_instants(dialect: sa.Dialect) -> bool:
    return dialect.name == "postgresql"


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

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the database's own type."""
        return dialect.type_descriptor(AsIs("NUMERIC") if _has_amounts(dialect) else sa.Text())

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Decimal | str | None:
        """Write the amount as a numeral."""
        return value if value is None or _has_amounts(dialect) else str(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """Read the numeral."""
        return value if value is None or _has_amounts(dialect) else Decimal(value)


class AsIs(sa.types.UserDefinedType[Any]):
    """A type of PostgreSQL by its name, whose values are what the driver takes and returns."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **options: Any) -> str:
        """Return the name of the type."""
        return self.name


def _has_amounts(dialect: sa.Dialect) -> bool:
    return dialect.name == "postgresql"
