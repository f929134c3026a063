"""The largest `QueryFilter`, the same on every backend, so that a filter that works on one works on all.

Databases limit the parameters, the depth of expressions and the length of a statement. A filter within the limits below
is within those of every database, and its cost is proportional to its size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aaow_storage._operators import (
    All,
    AnyOf,
    Between,
    Contains,
    FieldName,
    In,
    Not,
    NotIn,
    OrderBy,
    StartsWith,
)
from aaow_storage.errors import ValidationError

MAX_ORDER_KEYS = 16
"""How many keys `order_by` may have, repeated ones included."""
MAX_CONDITIONS = 100
"""How many conditions `where` and `any_of` may have together.

Each entry counts, and each condition inside of an `All`, `AnyOf` or `Not`, whether it is a value or an operator.
"""
MAX_NESTING = 8
"""How many levels of `All`, `AnyOf` and `Not` a condition may have."""
MAX_ALTERNATIVES = 100
"""How many mappings `any_of` may have."""
MAX_VALUES = 10_000
"""How many values all `In` and `NotIn` of a filter may have together."""
MAX_PATH_KEYS = 32
"""How many keys a path may have after its JSON field."""
MAX_PATH_LENGTH = 1_000
"""How many characters the keys of a path may have together."""
MAX_TEXT_LENGTH = 4_000_000
"""How many characters all texts that a filter compares with may have together, and how many a cursor may have."""


def check_size(
    order_by: Sequence[OrderBy],
    where: Mapping[FieldName, Any],
    any_of: Sequence[Mapping[FieldName, Any]],
    place: object,
) -> None:
    """Check the parts of a filter against all limits but those of paths, for which there is `check_path`.

    Raises:
        ValidationError: the filter is too large.
    """
    if len(order_by) > MAX_ORDER_KEYS:
        problem = f"has {len(order_by)} keys, at most {MAX_ORDER_KEYS} are allowed; leave out the last ones"
        raise ValidationError("QueryFilter", "order_by", problem)
    if isinstance(place, str) and len(place) > MAX_TEXT_LENGTH:
        problem = f"is a cursor of {len(place)} characters, at most {MAX_TEXT_LENGTH} are allowed; pass the record"
        raise ValidationError("QueryFilter", "after", problem)
    if not where and not any_of:
        return
    field = "where" if where else "any_of"
    if len(where) > MAX_CONDITIONS:
        remedy = "leave some out, and select among the records of the list"
        problem = f"has {len(where)} entries, at most {MAX_CONDITIONS} are allowed; {remedy}"
        raise ValidationError("QueryFilter", "where", problem)
    if len(any_of) > MAX_ALTERNATIVES:
        problem = f"has {len(any_of)} mappings, at most {MAX_ALTERNATIVES} are allowed; list several times"
        raise ValidationError("QueryFilter", "any_of", problem)
    comparisons = _comparisons([*where.values(), *(value for each in any_of for value in each.values())], field)
    values = sum(len(each.values) for each in comparisons if isinstance(each, In | NotIn))
    if values > MAX_VALUES:
        remedy = "list several times, with some of the values each"
        problem = f"compares with {values} values in In and NotIn, at most {MAX_VALUES} are allowed; {remedy}"
        raise ValidationError("QueryFilter", field, problem)
    length = sum(map(_text_length, comparisons))
    if length > MAX_TEXT_LENGTH:
        remedy = "compare with shorter texts, or list several times"
        problem = f"compares with texts of {length} characters, at most {MAX_TEXT_LENGTH} are allowed; {remedy}"
        raise ValidationError("QueryFilter", field, problem)


def _comparisons(conditions: list[Any], field: str) -> list[Any]:
    """Return the conditions that are not made of others, those inside of others included.

    It goes down level by level and counts, so that operators which share their parts cost no more than others.
    """
    found: list[Any] = []
    count = depth = 0
    while conditions:
        count += len(conditions)
        if count > MAX_CONDITIONS:
            remedy = "nested ones count, so leave some out, or list several times"
            problem = f"has {count} conditions or more, at most {MAX_CONDITIONS} are allowed; {remedy}"
            raise ValidationError("QueryFilter", field, problem)
        nesting = [each for each in conditions if isinstance(each, _NESTING)]
        found += [each for each in conditions if not isinstance(each, _NESTING)] if nesting else conditions
        depth += bool(nesting)
        if depth > MAX_NESTING:
            remedy = "write the condition with fewer levels"
            problem = f"has {depth} levels of All, AnyOf and Not, at most {MAX_NESTING} are allowed; {remedy}"
            raise ValidationError("QueryFilter", field, problem)
        conditions = [inner for each in nesting for inner in _inside(each)]
    return found


_NESTING = (All, AnyOf, Not)


def _inside(condition: All | AnyOf | Not) -> Sequence[Any]:
    return (condition.condition,) if isinstance(condition, Not) else condition.conditions


def check_path(record: str, name: FieldName) -> None:
    """Check the length of a path, whether or not the record has it.

    Raises:
        ValidationError: it has too many keys, or its keys are too long.
    """
    parts = name.split(".") if isinstance(name, str) else name
    shown = parts[0][:MAX_PATH_LENGTH]
    if len(parts) - 1 > MAX_PATH_KEYS:
        remedy = "filter by something less deep"
        problem = f"is a path of {len(parts) - 1} keys, at most {MAX_PATH_KEYS} are allowed; {remedy}"
        raise ValidationError(record, shown, problem)
    length = sum(map(len, parts[1:]))
    if length > MAX_PATH_LENGTH:
        remedy = "filter by something with shorter keys"
        problem = f"is a path with keys of {length} characters, at most {MAX_PATH_LENGTH} are allowed; {remedy}"
        raise ValidationError(record, shown, problem)


def _text_length(comparison: Any) -> int:
    return sum(len(text) for text in _compared(comparison) if isinstance(text, str))


def _compared(comparison: Any) -> Sequence[Any]:
    if isinstance(comparison, In | NotIn):
        return comparison.values
    if isinstance(comparison, Between):
        return comparison.low, comparison.high
    if isinstance(comparison, Contains | StartsWith):
        return (comparison.text,)
    return (getattr(comparison, "value", comparison),)
