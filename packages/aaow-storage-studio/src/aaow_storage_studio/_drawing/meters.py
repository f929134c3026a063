"""A meter: how much of an amount is used, drawn as one bar."""

from decimal import Decimal

from attrs import frozen
from markupsafe import Markup

from aaow_storage_studio._drawing.markup import element, percent

_VISIBLE = 0.004
"""The share that the smallest amount is drawn as."""


@frozen
class Meter:
    """How much of an amount is used.

    Attributes:
        total: the amount.
        used: what is used of it; it may be more than all.
        inside: the part of it that stands out from the rest, such as what is used further inside.
        title: what the bar says in words.
        tone: what the bar is coloured by, such as a status.
    """

    total: Decimal
    used: Decimal
    title: str
    inside: Decimal = Decimal(0)
    tone: str = ""


def meter(drawn: Meter) -> Markup:
    """Return the bar as SVG, as wide as its place. What is used beyond the total comes after a mark at the total."""
    whole = max(drawn.total, drawn.used)
    within_total = _share(min(drawn.used, drawn.total), whole)
    parts = [element("rect", width="100%", height="100%", class_="track", rx=2)]
    if within_total:
        parts.append(element("rect", width=percent(within_total), height="100%", class_="used", rx=2))
    inside = _share(min(drawn.inside, drawn.used, drawn.total), whole)
    if inside:
        parts.append(element("rect", y="60%", width=percent(inside), height="40%", class_="inside"))
    if drawn.used > drawn.total:
        start = _share(drawn.total, whole)
        parts.append(element("rect", x=percent(start), width=percent(1 - start), height="100%", class_="over"))
        parts.append(element("rect", x=percent(min(start, 0.99)), width=2, height="100%", class_="mark"))
    title = element("title", drawn.title)
    return element("svg", title, *parts, class_=f"meter {drawn.tone}".strip(), role="img", aria_label=drawn.title)


def _share(part: Decimal, whole: Decimal) -> float:
    return max(float(part / whole), _VISIBLE) if part and whole else 0.0
