"""Python functions and collations, added to every connection, for comparisons that SQLite lacks."""

import functools
import sqlite3
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from aaow_storage.authoring import Condition, FieldKind, Operator, QueryField, dumps, loads, sort_key, value_at
from aaow_storage_sql import ReplacedRows

JSON_COLLATION = "aaow_json"
JSON_MATCHES = "aaow_json_matches"
JSON_SORT_VALUE = "aaow_json_sort_value"
IS_AMONG = "aaow_is_among"
REPLACES = "aaow_replaces"

MAX_CACHED_DOCUMENT_CHARS = 64 * 1024
MAX_SHORT_OPERAND_CHARS = 1_000
"""Up to this length many decoded operands are cached, of longer ones a few."""


P = ParamSpec("P")
T = TypeVar("T")


def install(connection: sqlite3.Connection, failures: list[Exception], replaced: ReplacedRows) -> None:
    """Add the functions and collations to a connection. What upserts replace is counted in `replaced`.

    SQLite reports only that a function raised, and treats values as equal if their collation raises. So the first
    exception of either is appended to `failures`.
    """
    connection.create_collation(JSON_COLLATION, _recording(compare_json, failures))
    connection.create_function(JSON_MATCHES, 4, _recording(json_matches, failures), deterministic=True)
    connection.create_function(JSON_SORT_VALUE, 2, _recording(json_sort_value, failures), deterministic=True)
    connection.create_function(REPLACES, 2, _recording(replaced.count, failures))
    connection.create_function(IS_AMONG, 2, _recording(is_among, failures), deterministic=True)


def _recording(function: Callable[P, T], failures: list[Exception]) -> Callable[P, T]:
    def recording(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as failure:
            if not failures:
                failures.append(failure)
            raise

    return recording


def compare_json(one: str, other: str) -> int:
    """Compare two JSON values as lists sort them."""
    return _order(sort_key(loads(one)), sort_key(loads(other)))


def json_matches(body: str | None, path: str, operator: str, operand: str) -> bool:
    """Return whether the value at a path in a document meets a condition."""
    condition = _condition(operator, operand)
    return condition.matches(None if body is None else value_at(_document(body), _path(path)))


def json_sort_value(body: str | None, path: str) -> str | None:
    """Return the value at a path in a document, as JSON; NULL if it is null or missing."""
    value = None if body is None else value_at(_document(body), _path(path))
    return None if value is None else dumps(value)


def is_among(value: float | None, values: str) -> bool | None:
    """Return whether a number is in a JSON array; NULL for NULL."""
    return None if value is None else value in _numbers(values)


def _order(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


_last: tuple[str, Any] = ("null", None)
"""The text and value of the document decoded last: several conditions on a row read the same document."""


def _document(body: str) -> Any:
    global _last  # noqa: PLW0603 - one cache for all connections
    text, document = _last
    if text == body:
        return document
    document = loads(body)
    if len(body) <= MAX_CACHED_DOCUMENT_CHARS:
        _last = body, document
    return document


@functools.lru_cache(maxsize=256)
def _path(path: str) -> tuple[str, ...]:
    keys: Any = loads(path)
    return tuple(keys)


@functools.lru_cache(maxsize=4)
def _numbers(values: str) -> frozenset[float]:
    numbers: Any = loads(values)
    return frozenset(numbers)


def _condition(operator: str, operand: str) -> Condition:
    return (_short_condition if len(operand) <= MAX_SHORT_OPERAND_CHARS else _long_condition)(operator, operand)


def _decoded_condition(operator: str, operand: str) -> Condition:
    value: Any = loads(operand)
    return Condition(
        field=QueryField("document", FieldKind.JSON),
        operator=Operator(operator),
        operand=tuple(value) if operator == Operator.IN else value,
    )


_short_condition = functools.lru_cache(maxsize=256)(_decoded_condition)
_long_condition = functools.lru_cache(maxsize=4)(_decoded_condition)
