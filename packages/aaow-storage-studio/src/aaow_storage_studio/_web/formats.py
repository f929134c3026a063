"""How times, durations, amounts and JSON are written for people; each is a filter of templates."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

MISSING = "\N{EN DASH}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_UNITS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"))
_THOUSAND = 1000
_SHORT_ID, _ID_BEGINNING, _ID_END = 18, 9, 7


def instant(value: datetime | None) -> str:
    """Return an instant in UTC, to the second: `2026-01-31 12:00:05`."""
    return MISSING if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def iso(value: datetime | None) -> str:
    """Return an instant as a `<time datetime>` takes it."""
    return "" if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration(value: timedelta | float | None) -> str:
    """Return a duration with two figures that matter: `0.2 ms`, `340 ms`, `2.1 s`, `4m 10s`, `3h 5m`, `2d 4h`."""
    if value is None:
        return MISSING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 1:
        milliseconds = seconds * 1000
        return (
            f"{sign}{milliseconds:.0f} ms" if milliseconds >= 1 or not milliseconds else f"{sign}{milliseconds:.1f} ms"
        )
    if seconds < _MINUTE:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{sign}{whole // _MINUTE}m {whole % _MINUTE}s"
    if whole < _DAY:
        return f"{sign}{whole // _HOUR}h {whole % _HOUR // _MINUTE}m"
    return f"{sign}{whole // _DAY}d {whole % _DAY // _HOUR}h"


def ago(value: datetime | None, at: datetime) -> str:
    """Return how long before `at` an instant is, or how long after."""
    if value is None:
        return MISSING
    seconds = (at - value).total_seconds()
    if abs(seconds) < 1:
        return "now"
    if seconds < 0:
        return f"in {duration(-seconds)}"  # a deadline, of which every second counts
    if seconds < _MINUTE:
        return f"{seconds:.0f} s ago"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    return f"{seconds // size:.0f} {unit} ago"


def count(value: int | None) -> str:
    """Return a number with thin gaps between the thousands: `1 234 567`."""
    return MISSING if value is None else f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def short_count(value: int | None) -> str:
    """Return a number in three figures: `950`, `1.2k`, `3.4M`."""
    if value is None:
        return MISSING
    if value < _THOUSAND:
        return str(value)
    size = float(value)
    for unit in ("k", "M", "G"):
        size /= _THOUSAND
        if size < _THOUSAND or unit == "G":
            return f"{size:.1f}{unit}" if size < 100 else f"{size:.0f}{unit}"  # noqa: PLR2004 - three figures
    return str(value)


def amount(value: Decimal | None) -> str:
    """Return an exact amount, without an exponent."""
    if value is None:
        return MISSING
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def costs(value: Mapping[str, Decimal]) -> str:
    """Return amounts by currency: `0.0142 USD`, rounded to four figures that matter."""
    return " + ".join(f"{_rounded(each)} {currency}" for currency, each in sorted(value.items())) or MISSING


def _rounded(value: Decimal) -> str:
    if not value:
        return "0"
    places = max(2, 3 - value.adjusted())
    whole, _, part = f"{value:.{min(places, 18)}f}".partition(".")
    return f"{whole}.{part.rstrip('0'):0<2}"


def share(value: float) -> str:
    """Return a share of 1 in per cent."""
    return f"{value * 100:.1f} %" if 0 < value < 0.1 else f"{value * 100:.0f} %"  # noqa: PLR2004 - one more figure


def byte_count(value: int | None) -> str:
    """Return a number of bytes: `512 bytes`, `3.4 MiB`."""
    if value is None:
        return MISSING
    size = float(value)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":  # noqa: PLR2004 - the next unit
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1024
    return str(value)


def short_id(value: str) -> str:
    """Return the beginning and the end of a long id, which tell it apart from others, with an ellipsis between."""
    return value if len(value) <= _SHORT_ID else f"{value[:_ID_BEGINNING]}…{value[-_ID_END:]}"


def as_json(value: Any) -> str:
    """Return a JSON value, indented, with its own letters."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def pairs(value: Mapping[str, Any] | None, length: int = 90) -> str:
    """Return a JSON object as `key=value` pairs, as the query language writes them, as one line."""
    return one_line(" ".join(f"{key}={one_line(part, length)}" for key, part in (value or {}).items()), length)


def one_line(value: Any, length: int = 120) -> str:
    """Return the beginning of a text or of JSON as one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


FILTERS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        instant,
        iso,
        duration,
        ago,
        count,
        short_count,
        amount,
        byte_count,
        costs,
        share,
        short_id,
        as_json,
        one_line,
        pairs,
    )
}
