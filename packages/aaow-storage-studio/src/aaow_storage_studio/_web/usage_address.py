"""`Asked`: what the address of the page of usage asks for."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from attrs import evolve, frozen

from aaow_storage_studio._web.paging import conditions_of
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import QueryError

KEYS: Mapping[str, str] = {
    "model": "model",
    "provider": "provider",
    "workflow": "workflow_id",
    "node": "node_id",
    "day": "day",
    "hour": "hour",
}
"""What groups are made by, and what `UsageSummary.keys` calls it."""
TIMES = ("day", "hour")
PERIODS: Mapping[str, timedelta | None] = {
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}
ORDERS = ("cost", "tokens", "calls", "failed", "p50", "p95")
"""The figures that groups can be ordered by."""
USUAL_PERIOD, SHORT_PERIOD = "7d", "24h"
CUSTOM = "custom"
MAX_KEYS = 2
_ONE_DAY = timedelta(days=1)
_DAY_LENGTH = len("2026-01-31")


@frozen(kw_only=True)
class Asked:
    """What the address asks for.

    Attributes:
        at: when.
        by: what the groups are made by: one key, or two of which one at most is a time.
        period: one of `PERIODS`, or `"custom"` if the address has `from` or `to`.
        since: when the period begins, None if it has no beginning.
        until: when it ends, None if it has no end of its own.
        is_usual: whether the address has no period.
        order: what the groups are ordered by, None for costs, or else tokens, or else calls.
        query: the filter as it was written.
    """

    at: datetime
    by: tuple[str, ...] = ("model",)
    period: str = USUAL_PERIOD
    since: datetime | None = None
    until: datetime | None = None
    is_usual: bool = True
    order: str | None = None
    query: str = ""

    @property
    def conditions(self) -> list[str]:
        """The period and the filter in the query language."""
        begin = [] if self.since is None else [f"timestamp>={self.since.isoformat()}"]
        end = [] if self.until is None else [f"timestamp<{self.until.isoformat()}"]
        return [*begin, *end, *conditions_of(self.query)]

    def of_period(self, period: str) -> "Asked":
        """Return the same with one of `PERIODS`."""
        length = PERIODS[period]
        return evolve(self, period=period, since=None if length is None else self.at - length, until=None)


def asked_by(visit: Visit, at: datetime) -> Asked:
    """Return what the address of a page asks for.

    Raises:
        QueryError: a parameter cannot be understood.
    """
    by = tuple(dict.fromkeys(key.strip() for key in (visit.text("by") or "model").split(",") if key.strip()))
    if not by or not set(by) <= set(KEYS):
        raise QueryError(f"by={visit.text('by')}", f"groups are made by {', '.join(KEYS)}")
    if len(by) > MAX_KEYS or set(TIMES) <= set(by):
        raise QueryError(f"by={visit.text('by')}", "groups are made by one key, or by two that are not both times")
    order, period = visit.text("order") or None, visit.text("period")
    if order is not None and order not in ORDERS:
        raise QueryError(f"order={order}", f"groups are ordered by {', '.join(ORDERS)}")
    asked = Asked(at=at, by=by, order=order, query=visit.text("q"), is_usual=not period)
    if visit.text("from") or visit.text("to"):
        since = _instant("from", visit.text("from"), is_end=False)
        until = _instant("to", visit.text("to"), is_end=True)
        return evolve(asked, period=CUSTOM, since=since, until=until, is_usual=False)
    if period and period not in PERIODS:
        raise QueryError(f"period={period}", f"is none of {', '.join(PERIODS)}; or write from=2026-01-31 and to=...")
    return asked.of_period(period or USUAL_PERIOD)


def _instant(name: str, text: str, *, is_end: bool) -> datetime | None:
    """Return an instant; a day as an end is all of it."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
        utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        return utc + _ONE_DAY if is_end and len(text) <= _DAY_LENGTH else utc
    except (ValueError, OverflowError):
        raise QueryError(f"{name}={text}", "is no time; write 2026-01-31, or 2026-01-31T12:00") from None
