"""The strict JSON codec of all backends: a value is read back equal and with its types, or raises `ValidationError`."""

import functools
import marshal
import math
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeAlias, cast

import orjson

from aaow_storage._chunked_decoding import decode
from aaow_storage._omitted import OMITTED, REMEDY
from aaow_storage._validation_cache import MIN_CHECK_S, add_valid, is_valid, marshal_value
from aaow_storage.errors import CorruptDataError, ValidationError

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
JSONObject: TypeAlias = dict[str, Any]

MAX_DEPTH = 250
"""How deep lists and dicts may nest."""
MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1
_SAFE_BITS = 64
"""An integer of fewer bits is between the two."""


def dumps(value: JSON, *, record: str = "JSON", field: str = "value") -> str:
    """Encode a value as compact JSON text, keeping the order of keys.

    Raises:
        ValidationError: a part is not JSON; the error names `record`, `field` and the path inside the value.
    """
    return _dumps(value, record, field, marshal_value)


MIN_CACHED_BYTES = 64 * 1024
"""For shorter texts, a check takes less than a look into the cache of checked values."""


def _dumps(value: JSON, record: str, field: str, marshal_value: Callable[[JSON], bytes | None]) -> str:
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        check_json(value, record=record, field=field)
        raise
    if len(text) > MIN_CACHED_BYTES and (marshalled := marshal_value(value)) is not None and is_valid(marshalled):
        return text.decode()
    check_json(value, record=record, field=field)
    return text.decode()


def dumps_unchecked(value: JSON) -> str:
    """Encode as `dumps` does, without a check; for a value that `loads` made and that only the backend can change."""
    return orjson.dumps(value).decode()


MAX_CACHED_DOCUMENTS = 16
MAX_CACHED_DOCUMENT_BYTES = 256 * 1024


def dumps_document(value: JSONObject, *, record: str = "JSON", field: str = "value") -> str:
    """Encode as `dumps` does, faster if an equal document was encoded recently.

    The definition of a workflow is encoded for each of its sessions, so the texts of recent documents are cached. The
    key is the `marshal` serialization, which takes a tenth of the time of a check, and is equal only for documents with
    equal values of equal types.

    Raises:
        ValidationError: as `dumps`.
    """
    marshalled = marshal_value(value)
    if marshalled is None or len(marshalled) > MAX_CACHED_DOCUMENT_BYTES:
        return _dumps(value, record, field, lambda _: marshalled)
    try:
        return _dumps_marshalled(marshalled)
    except ValidationError:
        return dumps(value, record=record, field=field)


def check_document(value: JSONObject, *, record: str = "JSON", field: str = "value") -> None:
    """Check as `check_json` does, faster if an equal document was checked recently.

    Raises:
        ValidationError: as `check_json`.
    """
    marshalled = marshal_value(value)
    if marshalled is None or len(marshalled) > MAX_CACHED_DOCUMENT_BYTES:
        if marshalled is None or not is_valid(marshalled):
            check_json(value, record=record, field=field)
        return
    try:
        _dumps_marshalled(marshalled)
    except ValidationError:
        check_json(value, record=record, field=field)


@functools.lru_cache(maxsize=MAX_CACHED_DOCUMENTS)
def _dumps_marshalled(marshalled: bytes) -> str:
    return dumps(marshal.loads(marshalled))  # noqa: S302 - made by this process, a moment ago


def loads(text: str | bytes) -> JSON:
    """Decode a text that `dumps` made.

    Raises:
        CorruptDataError: the text is not JSON.
    """
    try:
        return cast("JSON", orjson.loads(text) if isinstance(text, bytes) else decode(text))
    except orjson.JSONDecodeError as error:
        raise CorruptDataError(f"a stored document is not JSON, so the store is damaged: {error}") from error


def check_json(value: object, *, record: str = "JSON", field: str = "value") -> None:
    """Check that a value, all the way down, is JSON that is read back equal and with the same types.

    Valid are None, bool, int from -2^63 to 2^64-1, finite float, str without lone surrogates, list, and dict with str
    keys; no subclasses of these types; nested at most `MAX_DEPTH` deep.

    Raises:
        ValidationError: a part is not JSON; the error names the path to the first such part.
    """
    began = perf_counter()
    problem = _first_problem(value, 0)
    if problem is not None:
        trail, what = problem
        raise ValidationError(record, field + "".join(reversed(trail)), what)
    if perf_counter() - began > MIN_CHECK_S:
        add_valid(value)


def _first_problem(value: Any, depth: int) -> tuple[list[str], str] | None:
    """Return the path to the first part that is not JSON, innermost step first, and what is wrong with it; or None."""
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
        if (held is str and item.isascii()) or held is bool or (held is int and item.bit_length() < _SAFE_BITS):
            continue  # the common case, inline, because a call for each item would take most of the time
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
        return (
            None
            if MIN_INTEGER <= value <= MAX_INTEGER
            else "an integer must be from -2**63 to 2**64-1; use a str for a larger one"
        )
    if kind is float:
        return None if math.isfinite(value) else f"{value} is not JSON; a number must be finite, use None or a str"
    if value is OMITTED:
        return f"was left out by QueryFilter(documents=False); {REMEDY}"
    return f"{kind.__name__} is not JSON; convert it to None, bool, int, float, str, list or dict"


def _key_problem(key: Any) -> str | None:
    if type(key) is not str:
        return f"a key is {type(key).__name__}; keys must be str"
    what = text_problem(key)
    return None if what is None else f"in the key {key!r}: {what}"


def text_problem(text: str) -> str | None:
    """Return what keeps a text from being encoded, or None."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"a lone surrogate at index {error.start} is not Unicode text; replace or remove it"
    return None
