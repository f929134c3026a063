"""Elements of SVG as text in which everything is escaped."""

from typing import Any

from markupsafe import Markup, escape


def element(name: str, *content: Any, **attributes: Any) -> Markup:
    """Return an element: `element("rect", class_="bar", stroke_width=2)`; attributes that are None are left out.

    Content that is no markup is escaped, as are the values of attributes. A name's `_` at the end is left out, and the
    others become `-`.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(part) for part in content)
    return Markup(f"<{name}{given}>{inside}</{name}>")  # noqa: S704 - of escaped parts; `Markup.format` is slower


def percent(share: float) -> str:
    """Return a share of 1 as a length."""
    return f"{number(share * 100)}%"


def number(value: float) -> str:
    """Return a coordinate with at most three places."""
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"
