"""Where a text that was looked for stands in others: the words around it, and the text itself to be marked."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen

AROUND = 60
"""How many characters are shown on each side."""
MAX_MARKS = 20


@frozen
class Excerpt:
    """A place where a text was found.

    Attributes:
        where: the field that has it.
        parts: the words around it, in pieces; every second one is the text.
    """

    where: str
    parts: Sequence[str]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.parts)


def spellings(wanted: str) -> tuple[str, ...]:
    """Return a text as it is, in lower case, in upper case and with a capital: filters of stores mind the case."""
    return tuple(dict.fromkeys((wanted, wanted.lower(), wanted.upper(), wanted.capitalize())))


def first_excerpt(fields: Iterable[tuple[str, Any]], wanted: re.Pattern[str]) -> Excerpt | None:
    """Return the first place in the fields of a record that a text stands in; None if there is none.

    A field is a text, or JSON, whose texts and keys are looked through. What is redacted is not found.
    """
    for where, value in fields:
        for text in _texts(value):
            if wanted.search(text):
                return Excerpt(where, tuple(_parts(text, wanted)))
    return None


def pattern_of(wanted: str) -> re.Pattern[str]:
    """Return the pattern of a text in any case."""
    return re.compile(re.escape(wanted), re.IGNORECASE)


def _texts(value: Any) -> Iterator[str]:
    """Yield a text; of JSON, each key with its value if that is a scalar, and what is in lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, dict | list):
                yield key
                yield from _texts(each)
            else:
                yield f"{key}: {each if isinstance(each, str) else json.dumps(each)}"
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif value is not None:
        yield json.dumps(value)


def _parts(text: str, wanted: re.Pattern[str]) -> Iterator[str]:
    """Yield the words before the text, the text, the words between, the text, and so on."""
    places = list(itertools.islice(wanted.finditer(text), MAX_MARKS))
    at = max(0, places[0].start() - AROUND)
    end = min(len(text), places[0].end() + 2 * AROUND)
    lead = "…" if at else ""
    for place in places:
        if place.end() > end:
            break
        yield lead + text[at : place.start()]
        yield place.group()
        at, lead = place.end(), ""
    yield text[at:end] + ("…" if end < len(text) else "")
