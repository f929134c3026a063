"""The strict JSON codec every backend uses: what goes in comes out, or `ValidationError` says where it would not."""

import functools
import marshal
import math
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeAlias, cast

import orjson

from aaow_storage._chunked_decoding import decoded
from aaow_storage._validation_cache import LONG_CHECK_S, image_of, is_remembered, remember
from aaow_storage.errors import CorruptDataError, ValidationError

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
JSONObject: TypeAlias = dict[str, Any]

MAX_DEPTH = 250
"""How deep lists and dicts may nest; one more raises `ValidationError`."""
MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1
_SURE_BITS = 64
"""An integer of fewer bits is between the two."""


def dumps(value: JSON, *, record: str = "JSON", field: str = "value") -> str:
    """Encode a value as compact JSON text, keeping the order of keys.

    Raises:
        ValidationError: a part is not JSON; `record` and `field` say where, with the path inside the value.
    """
    return _dumps(value, record, field, image_of)


LONG_TEXT_BYTES = 64 * 1024
"""Of how many bytes a text is before it may pay to look whether its value was checked not long ago."""


def _dumps(value: JSON, record: str, field: str, image_of: Callable[[JSON], bytes | None]) -> str:
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        check_json(value, record=record, field=field)
        raise
    if len(text) > LONG_TEXT_BYTES and (image := image_of(value)) is not None and is_remembered(image):
        return text.decode()
    check_json(value, record=record, field=field)
    return text.decode()


def dumps_unchecked(value: JSON) -> str:
    """Encode as `dumps` does a value that `loads` made, and that nobody else can have changed."""
    return orjson.dumps(value).decode()


MOST_DOCUMENTS = 16
LARGEST_DOCUMENT_BYTES = 256 * 1024


def dumps_document(value: JSONObject, *, record: str = "JSON", field: str = "value") -> str:
    """Encode as `dumps` does, at a fraction of its cost where an equal document was encoded not long ago.

    A workflow's definition is checked and encoded for each of its sessions. Python's own serialization, made in a tenth
    of the time that the check takes, shows every value and its exact type; so what has an equal one is equal JSON.

    Raises:
        ValidationError: as `dumps`.
    """
    image = image_of(value)
    if image is None or len(image) > LARGEST_DOCUMENT_BYTES:
        return _dumps(value, record, field, lambda _: image)
    try:
        return _text_of(image)
    except ValidationError:
        return dumps(value, record=record, field=field)


def check_document(value: JSONObject, *, record: str = "JSON", field: str = "value") -> None:
    """Check as `check_json` does, at a fraction of its cost where an equal document was checked not long ago.

    Raises:
        ValidationError: as `check_json`.
    """
    image = image_of(value)
    if image is None or len(image) > LARGEST_DOCUMENT_BYTES:
        if image is None or not is_remembered(image):
            check_json(value, record=record, field=field)
        return
    try:
        _text_of(image)
    except ValidationError:
        check_json(value, record=record, field=field)


@functools.lru_cache(maxsize=MOST_DOCUMENTS)
def _text_of(image: bytes) -> str:
    return dumps(marshal.loads(image))  # noqa: S302 - made by this process, a moment ago


def loads(text: str | bytes) -> JSON:
    """Decode what `dumps` made.

    Raises:
        CorruptDataError: the text is not JSON, so it is not what was stored.
    """
    try:
        return cast("JSON", orjson.loads(text) if isinstance(text, bytes) else decoded(text))
    except orjson.JSONDecodeError as error:
        raise CorruptDataError(f"a stored document is not JSON: {error}") from error


def check_json(value: object, *, record: str = "JSON", field: str = "value") -> None:
    """Check that a value, all the way down, is JSON that comes back equal and with the same types.

    Taken are None, bool, int from -2**63 to 2**64-1, finite float, str without lone surrogates, list, and dict with
    str keys: those very types, no subclasses, nested at most `MAX_DEPTH` deep.

    Raises:
        ValidationError: with the path of the first part that is not.
    """
    began = perf_counter()
    problem = _first_problem(value, 0)
    if problem is not None:
        trail, what = problem
        raise ValidationError(record, field + "".join(reversed(trail)), what)
    if perf_counter() - began > LONG_CHECK_S:
        remember(value)


def _first_problem(value: Any, depth: int) -> tuple[list[str], str] | None:
    """Return the path (innermost step first) and the nature of the first thing that is not JSON, or None."""
    kind = type(value)
    if kind is dict:
        steps: Any = value.items()
    elif kind is list:
        steps = enumerate(value)
    else:
        what = _scalar_problem(kind, value)
        return None if what is None else ([], what)
    if depth >= MAX_DEPTH:
        return [], f"lists and dicts may nest at most {MAX_DEPTH} deep"
    for step, item in steps:
        if kind is dict and not (type(step) is str and step.isascii()) and (what := _key_problem(step)) is not None:
            return [], what
        held = type(item)
        if (held is str and item.isascii()) or held is bool or (held is int and item.bit_length() < _SURE_BITS):
            continue  # as most are: to call a function for each would take most of the time
        if (problem := _first_problem(item, depth + 1)) is not None:
            problem[0].append(f".{step}" if kind is dict and step.isidentifier() else f"[{step!r}]")
            return problem
    return None


def _scalar_problem(kind: type, value: Any) -> str | None:
    if kind is str:
        return text_problem(value)
    if value is None or kind is bool:
        return None
    if kind is int:
        return None if MIN_INTEGER <= value <= MAX_INTEGER else "an integer must be from -2**63 to 2**64-1"
    if kind is float:
        return None if math.isfinite(value) else f"{value} is not JSON; a number must be finite"
    return f"{kind.__name__} is not JSON; use None, bool, int, float, str, list or dict"


def _key_problem(key: Any) -> str | None:
    if type(key) is not str:
        return f"a key is {type(key).__name__}; keys must be str"
    what = text_problem(key)
    return None if what is None else f"in the key {key!r}: {what}"


def text_problem(text: str) -> str | None:
    """Say what keeps a text from being encoded, or None where nothing does."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"a lone surrogate at index {error.start} is not Unicode text; replace or remove it"
    return None
