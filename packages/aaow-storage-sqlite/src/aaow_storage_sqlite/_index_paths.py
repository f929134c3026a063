"""The paths in JSON that an index may serve. They are checked as an adapter is made, and so without SQLAlchemy."""

import re

from attrs import frozen

from aaow_storage.authoring import (
    DOCUMENT_FIELDS,
    QUERY_FIELDS,
    Condition,
    FieldKind,
    Operator,
    QueryField,
    resolve_field,
    shown,
)
from aaow_storage.errors import ValidationError

_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MAX_SMALL_INTEGER = 2**31


@frozen
class IndexPath:
    """A path in a JSON field of a kind of records, for which a user asks for an index."""

    record: type
    field: QueryField


def parse_index_path(name: str) -> IndexPath:
    """Return the path with that name: the record, the JSON field and the keys, such as `Session.metadata.user`.

    Raises:
        ValidationError: there is no such field, or it cannot be indexed.
    """
    records = {record.__name__: record for record in QUERY_FIELDS}
    record_name, _, field_name = name.partition(".") if isinstance(name, str) else ("", "", "")
    record = records.get(record_name)
    if record is None:
        problem = f"must be like 'Session.metadata.user', for one of {', '.join(records)}, not {shown(name)}"
        raise ValidationError("sqlite", "indexes", problem)
    try:
        field = resolve_field(record, field_name)
    except ValidationError as error:
        raise ValidationError("sqlite", "indexes", f"{shown(name)} cannot be indexed: {error.problem}") from error
    is_document = field.name == DOCUMENT_FIELDS.get(record)
    if field.kind is not FieldKind.JSON or is_document or not has_plain_keys(field.path):
        problem = (
            f"{shown(name)} cannot be indexed: it must be a path into a JSON field that is not a workflow document"
        )
        raise ValidationError("sqlite", "indexes", f"{problem}, with keys of ASCII letters, digits, _ and -")
    return IndexPath(record, field)


def has_plain_keys(path: tuple[str, ...]) -> bool:
    """Return whether SQLite's own functions, and so an index, read a path with those keys."""
    return all(_KEY.fullmatch(key) for key in path)


def is_indexable(condition: Condition) -> bool:
    """Return whether SQLite's own functions, and so an index, find every value that meets a condition on JSON.

    They do if the operand is text or a small integer; other numbers SQLite may read slightly differently than Python.
    """
    operand = condition.operand
    is_plain = type(operand) is str or (type(operand) is int and abs(operand) < _MAX_SMALL_INTEGER)
    return condition.operator is Operator.EQ and not condition.negated and is_plain
