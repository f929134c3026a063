"""Values that storage tends to break on: some must come back unchanged, others must be refused."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

from aaow_storage import JSON

BERLIN_LIKE_SUMMER, BERLIN_LIKE_WINTER = timedelta(hours=2), timedelta(hours=1)


class AutumnZone(tzinfo):
    """A time zone whose clocks went back, so that the hour after two o'clock came twice."""

    def utcoffset(self, instant: datetime | None) -> timedelta:
        return BERLIN_LIKE_WINTER if instant is not None and instant.fold else BERLIN_LIKE_SUMMER

    def dst(self, instant: datetime | None) -> timedelta:
        return self.utcoffset(instant) - BERLIN_LIKE_WINTER

    def tzname(self, instant: datetime | None) -> str:
        return f"autumn {self.utcoffset(instant)}"


TEXTS: tuple[str, ...] = (
    "",
    " ",
    "  spaces around  ",
    "null",
    "None",
    "true",
    "0",
    "1e5",
    "{}",
    "[1]",
    '"quoted"',
    "it's",
    "'; DROP TABLE sessions; --",
    "100%",
    "_",
    "%_%",
    "*",
    "?",
    ":name",
    "$1",
    "back\\slash",
    "\\",
    "\\u0041",
    "$.a[0]['b']",
    "$",
    "a.b",
    "a/b",
    "line\nbreak",
    "line\r\nbreak",
    "\ttab",
    "\x01\x1f\x7f",
    "\x85\u2028\u2029",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}\N{LATIN SMALL LETTER SHARP S}\N{LATIN SMALL LIGATURE FI}",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} and \N{RIGHT-TO-LEFT OVERRIDE}back",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
    "\N{ZERO WIDTH NO-BREAK SPACE}mark",
    "\ufffd\uffff\U0001f600\U0010ffff",
    "2024-02-30T25:61:61Z",
    "long " * 20_000,
)
"""Texts that must come back unchanged."""

IDS: tuple[str, ...] = (
    *(text for text in TEXTS if 1 <= len(text) <= 255),
    "a",
    "A",
    "a ",
    " a",
    "\N{MICRO SIGN}",
    "\N{GREEK SMALL LETTER MU}",
    "00",
    "0.0",
    "x" * 255,
    "\N{GRINNING FACE}" * 255,
)
"""Ids that are all different."""

INVALID_TEXTS: tuple[Any, ...] = (
    "a\x00b",
    "\x00",
    "\ud800",
    "ok \udfff",
    "\udc80",
    "\ud83d\ude00",
    1,
    b"bytes",
    ["a"],
    {},
)
INVALID_IDS: tuple[Any, ...] = ("", "x" * 256, 1.5, True, *INVALID_TEXTS)

NUMBERS: tuple[int | float, ...] = (
    *(0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308),
    *(1e15, 1e16, 1e17, 1e22, 1e23, 9007199254740993.0, 1e-7, 123456789.12345679, 2.0**63, 2.0**64),
)

DOCUMENTS: tuple[JSON, ...] = (
    None,
    False,
    True,
    "",
    [],
    {},
    *NUMBERS,
    *TEXTS,
    "NUL \x00 inside",
    "\x00",
    [None, False, 0, 0.0, -0.0, "", [], {}],
    [[], [[]], [[[]]], {}, [{}], {"": {}}],
    [True, 1, 1.0, "1"],
    {"": "empty key", " ": 1, "\x00": 2, "$": 3, "$.a": 4, "a.b": 5, "a": {"b": 6}, "'": 7, '"': 8, "\\": 9},
    {
        "z": 1,
        "a": 2,
        "10": 3,
        "9": 4,
        "Z": 5,
        "\N{LATIN SMALL LETTER E WITH ACUTE}": 6,
        "e\N{COMBINING ACUTE ACCENT}": 7,
    },
    {"null": None, "false": False, "zero": 0, "text": "", "list": [], "object": {}},
    {"__proto__": {"x": 1}, "__class__": "y", "constructor": [], "$type": "datetime", "$ref": "#/a", "@id": 1},
    {"same": {"same": {"same": ["same", {"same": None}]}}},
)
"""JSON values that must come back with their types, signs of zero and order of keys."""


def nest(levels: int, innermost: JSON = None) -> JSON:
    """Make a value of that many levels, of lists and objects in turn."""
    value = innermost
    for level in range(levels):
        value = [value, level] if level % 2 else {"level": level, "inner": value}
    return value


class Colour(StrEnum):
    """An enumeration whose members are str."""

    RED = "red"


def circular() -> list[Any]:
    """Make a list that contains itself."""
    value: list[Any] = []
    value.append(value)
    return value


NOT_DOCUMENTS: tuple[Any, ...] = (
    *(float("nan"), float("inf"), float("-inf"), 2**64, -(2**63) - 1),
    *("\ud800", "half \udc00 a pair", "\ud83d\ude00", {"\ud800": 1}),
    *((), (1, 2), {1}, frozenset(), b"bytes", bytearray(), 1j, Decimal(1), Colour.RED, object(), int, len),
    *({1: 2}, {None: 1}, {True: 1}, {1.0: 1}, {("a",): 1}, {b"a": 1}, {Colour.RED: 1}),
    *(datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1), timedelta(1), nest(500), circular()),
)
"""Values that are not JSON, though some encoders take them."""

INSTANTS: tuple[datetime, ...] = (
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1900, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 34, 56, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 34, 56, 10, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 34, 56, 999_999, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 34, 56, 100_000, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(2262, 4, 11, 23, 47, 16, 854_775, tzinfo=UTC),
    datetime(2262, 4, 11, 23, 47, 16, 854_776, tzinfo=UTC),
    datetime(8999, 7, 8, 9, 10, 11, 654_321, tzinfo=UTC),
    datetime(2024, 10, 27, 2, 30, tzinfo=AutumnZone(), fold=0),
    datetime(2024, 10, 27, 2, 30, tzinfo=AutumnZone(), fold=1),
    datetime(2024, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2024, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=-12))),
    datetime(2024, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=14))),
    datetime(1883, 11, 18, 12, 3, 57, 999_999, tzinfo=timezone(-timedelta(hours=4, minutes=56, seconds=2))),
    datetime(2024, 1, 1, 0, 0, tzinfo=timezone(timedelta(seconds=1, microseconds=1))),
    datetime(1, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=-23))),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=23))),
)
"""Instants that are all different, some at the edges of the range of datetime."""

INVALID_INSTANTS: tuple[Any, ...] = (
    datetime(2024, 1, 1),  # noqa: DTZ001 - without a zone on purpose
    datetime.min,  # noqa: DTZ901 - without a zone on purpose
    datetime(1, 1, 1, 0, 0, tzinfo=timezone(timedelta(minutes=1))),
    datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(minutes=1))),
    date(2024, 1, 1),
    *("2024-01-01T00:00:00Z", 0, 1704067200.0, True, timedelta(0)),
)

AMOUNTS: tuple[Decimal, ...] = tuple(
    Decimal(text)
    for text in (
        *("0", "1", "0.1", "0.01", "0.3", "1.50", "100", "1E+2", "0.000001", "0.000000000000001"),
        *("999999999999999", "99999999999999.9", "0.999999999999999", "123456.789012345", "9007199254740.99"),
        *("1E-15", "1E+15", "1E-18", "9.99999999999999E+17", "123456789012345E+3"),
    )
)
"""Amounts of at most 15 significant digits, which the contract 1.0 had."""

INVALID_AMOUNTS: tuple[Any, ...] = (
    *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), float("nan"), float("inf"), "nan", "-inf", -1, "-0.01"),
    *(Decimal("1234567890.1234567890123456789"), "1" * 19, 2**60 + 1, 1e18, "1E-19"),
    *("ten", "", "1,5", "0x10", True, None, [], 1j, b"1"),
)

INVALID_COUNTS: tuple[Any, ...] = (-1, 2**63, 1.0, True, "1", Decimal(1))
INVALID_OBJECTS: tuple[Any, ...] = ([], "{}", 0, False, (), [["a", 1]], {"a": float("nan")}, {1: 2})
