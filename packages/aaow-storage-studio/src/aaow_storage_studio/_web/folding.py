"""Long texts: the beginning is shown, the rest on demand, and what no page should carry only in its JSON."""

from attrs import frozen

SHOWN_LINES = 60
SHOWN_CHARACTERS = 8_000
MAX_CHARACTERS = 200_000
"""How much of a text a page has at most."""


@frozen
class Folded:
    """A text in two parts.

    Attributes:
        shown: its beginning, of at most about 60 lines and 8,000 characters.
        rest: what follows, empty if all is shown.
        lines: how many lines the whole text has.
        left_out: how many characters are in neither.
    """

    shown: str
    rest: str
    lines: int
    left_out: int


def folded(text: str) -> Folded:
    """Return a text in two parts; a text that is a little too long for one is not folded."""
    lines = text.count("\n") + 1
    if lines <= SHOWN_LINES + SHOWN_LINES // 4 and len(text) <= SHOWN_CHARACTERS + SHOWN_CHARACTERS // 4:
        return Folded(text, "", lines, 0)
    shown = "".join(text[:SHOWN_CHARACTERS].splitlines(keepends=True)[:SHOWN_LINES])
    return Folded(shown, text[len(shown) : MAX_CHARACTERS], lines, max(0, len(text) - MAX_CHARACTERS))
