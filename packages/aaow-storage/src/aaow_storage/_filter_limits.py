"""The largest `QueryFilter`, the same on every backend, so that a filter that works on one works on all.

Databases limit the parameters, the depth of expressions and the length of a statement. A filter within the limits below
is within those of every database, and its cost is proportional to its size.
"""

from typing import Any

from aaow_storage._filters import Contains, FieldName, In, NotIn, QueryFilter, StartsWith
from aaow_storage.errors import ValidationError

MAX_ORDER_KEYS = 16
"""How many keys `order_by` may have, repeated ones included."""
MAX_CONDITIONS = 100
"""How many entries `where` may have."""
MAX_VALUES = 10_000
"""How many values all `In` and `NotIn` of a filter may have together."""
MAX_PATH_KEYS = 32
"""How many keys a path may have after its JSON field."""
MAX_PATH_LENGTH = 1_000
"""How many characters the keys of a path may have together."""
MAX_TEXT_LENGTH = 4_000_000
"""How many characters all texts in a filter may have together."""


def check_size(filter: QueryFilter) -> None:
    """Check a filter against all limits but those of paths, for which there is `check_path`.

    Raises:
        ValidationError: the filter is too large.
    """
    if len(filter.order_by) > MAX_ORDER_KEYS:
        problem = f"has {len(filter.order_by)} keys, at most {MAX_ORDER_KEYS} are allowed; leave out the last ones"
        raise ValidationError("QueryFilter", "order_by", problem)
    where = filter.where
    if not where:
        return
    if len(where) > MAX_CONDITIONS:
        remedy = "leave some out, and select among the records of the list"
        problem = f"has {len(where)} entries, at most {MAX_CONDITIONS} are allowed; {remedy}"
        raise ValidationError("QueryFilter", "where", problem)
    values = length = 0
    for operand in where.values():
        if isinstance(operand, In | NotIn):
            values += len(operand.values)
    if values > MAX_VALUES:
        remedy = "list several times, with some of the values each"
        problem = f"compares with {values} values in In and NotIn, at most {MAX_VALUES} are allowed; {remedy}"
        raise ValidationError("QueryFilter", "where", problem)
    for operand in where.values():
        length += _text_length(operand)
    if length > MAX_TEXT_LENGTH:
        remedy = "compare with shorter texts, or list several times"
        problem = f"compares with texts of {length} characters, at most {MAX_TEXT_LENGTH} are allowed; {remedy}"
        raise ValidationError("QueryFilter", "where", problem)


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


def _text_length(operand: Any) -> int:
    if isinstance(operand, In | NotIn):
        return sum(len(value) for value in operand.values if isinstance(value, str))
    text = operand.text if isinstance(operand, Contains | StartsWith) else getattr(operand, "value", operand)
    return len(text) if isinstance(text, str) else 0
