"""What columns hold is exact, in order, and readable."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from aaow_storage.errors import CorruptDataError, ValidationError
from aaow_storage_sql._schema.types import Amount, Instant, JSONText

DIALECT = sqlite_dialect()
INSTANTS = [
    datetime.min.replace(tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 28, 12, 0, 0, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
]


def test_instants_are_counted_in_microseconds_since_1970():
    one_second_later = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=1)
    assert Instant().bind_processor(DIALECT)(one_second_later) == 1_000_000


def test_instants_come_back_exactly_and_sort_as_numbers():
    stored = [Instant().bind_processor(DIALECT)(instant) for instant in INSTANTS]
    assert stored == sorted(stored)
    assert [Instant().result_processor(DIALECT, None)(number) for number in stored] == INSTANTS


@pytest.mark.parametrize(
    "numeral", ["0", "0.1", "1E+17", "1E-18", "999999999999999", "1.10", "999999999999999999.999999999999999999"]
)
def test_amounts_come_back_exactly(numeral: str):
    stored = Amount().bind_processor(DIALECT)(Decimal(numeral))
    assert Amount().result_processor(DIALECT, None)(stored) == Decimal(numeral)


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("0.000000000000000000", "0"),
        ("12.500000000000000000", "12.5"),
        ("1200.000000000000000000", "1200"),
        ("0.000000000000000001", "1E-18"),
        ("999999999999999999.999999999999999999", "999999999999999999.999999999999999999"),
    ],
)
def test_amounts_of_a_fixed_number_of_places_come_back_without_zeros_at_the_end(stored: str, text: str):
    mariadb = MariaDBDialect()
    assert Amount().bind_processor(mariadb) is None
    assert str(Amount().result_processor(mariadb, None)(Decimal(stored))) == text


def test_amounts_are_text_that_sorts_by_value():
    amounts = [*map(Decimal, ("-0.1", "0", "1E-18", "0.3", "9", "10", "10.000000000000000001", "999999999999999999"))]
    stored = [Amount().bind_processor(DIALECT)(amount) for amount in amounts]
    assert stored == sorted(stored)
    assert stored[4] == "000000000000000009.000000000000000000"


@pytest.mark.parametrize("text", ["", "9", "9.0", "0" * 37, " 00000000000000009.000000000000000000", "9" * 18 + ".1E1"])
def test_text_that_is_no_padded_amount_is_corrupt(text: str):
    with pytest.raises(CorruptDataError, match="18 digits on each side of a point"):
        Amount().result_processor(DIALECT, None)(text)


def test_the_error_for_a_document_that_is_not_json_any_more_names_the_field():
    with pytest.raises(ValidationError, match=r"Session\.metadata\.tags\[0\]"):
        JSONText("Session", "metadata").bind_processor(DIALECT)({"tags": [{1}]})


def test_text_that_is_not_json_is_corrupt():
    with pytest.raises(CorruptDataError, match="not JSON"):
        JSONText("Session", "metadata").result_processor(DIALECT, None)("{")
