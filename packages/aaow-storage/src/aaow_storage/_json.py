"""The strict JSON codec every backend uses: what goes in comes out, or `ValidationError` says where it would not."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import orjson

from aaow_storage.errors import CorruptDataError, ValidationError

JSON: TypeAlias = None | bool | int | float | str | list[Any] | dict[str, Any]
JSONObject: TypeAlias = dict[str, Any]

MAX_DEPTH = 250
"""How deep lists and dicts may nest; one more raises `ValidationError`."""
MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1

_Fail = Callable[[str, str], ValidationError]


def dumps(value: JSON, *, record: str = "JSON", field: str = "value") -> str:
    """Encode a value as compact JSON text, keeping the order of keys.

    Raises:
        ValidationError: a part is not JSON; `record` and `field` say where, with the path inside the value.
    """
    check_json(value, record=record, field=field)
    return orjson.dumps(value).decode()


def loads(text: str | bytes) -> JSON:
    """Decode what `dumps` made.

    Raises:
        CorruptDataError: the text is not JSON, so it is not what was stored.
    """
    try:
        return cast("JSON", orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise CorruptDataError(f"a stored document is not JSON: {error}") from error


def check_json(value: object, *, record: str = "JSON", field: str = "value") -> None:
    """Check that a value, all the way down, is JSON that comes back equal and with the same types.

    Taken are None, bool, int from -2**63 to 2**64-1, finite float, str without lone surrogates, list, and dict with
    str keys: those very types, no subclasses, nested at most `MAX_DEPTH` deep.

    Raises:
        ValidationError: with the path of the first part that is not.
    """
    problem = _first_problem(value, 0)
    if problem is not None:
        trail, what = problem
        raise ValidationError(record, field + "".join(reversed(trail)), what)


def _first_problem(value: Any, depth: int) -> tuple[list[str], str] | None:
    """Return the path (innermost step first) and the nature of the first thing that is not JSON, or None."""
    kind = type(value)
    if kind is str:
        what = text_problem(value)
    elif kind is int:
        what = None if MIN_INTEGER <= value <= MAX_INTEGER else "an integer must be from -2**63 to 2**64-1"
    elif kind is float:
        what = None if math.isfinite(value) else f"{value} is not JSON; a number must be finite"
    elif value is None or kind is bool:
        what = None
    elif kind is dict or kind is list:
        if depth >= MAX_DEPTH:
            what = f"lists and dicts may nest at most {MAX_DEPTH} deep"
        else:
            return _first_problem_inside(value, depth + 1)
    else:
        what = f"{kind.__name__} is not JSON; use None, bool, int, float, str, list or dict"
    return None if what is None else ([], what)


def _first_problem_inside(container: Any, depth: int) -> tuple[list[str], str] | None:
    if type(container) is list:
        for index, item in enumerate(container):
            if (problem := _first_problem(item, depth)) is not None:
                problem[0].append(f"[{index}]")
                return problem
        return None
    for key, item in container.items():
        if type(key) is not str:
            return [], f"the key {key!r} is {type(key).__name__}; keys must be str"
        if (what := text_problem(key)) is not None:
            return [], f"in the key {key!r}: {what}"
        if (problem := _first_problem(item, depth)) is not None:
            problem[0].append(f".{key}" if key.isidentifier() else f"[{key!r}]")
            return problem
    return None


def text_problem(text: str) -> str | None:
    """Say what keeps a text from being encoded, or None where nothing does."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"a lone surrogate at index {error.start} is not Unicode text; replace or remove it"
    return None
