"""Checked copies, which are all that ever goes into the tables or comes out of them."""

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from aaow_storage import NodeExecutionState, TokenUsage, ToolCall
from aaow_storage.authoring import dumps, loads

T = TypeVar("T", bound=attrs.AttrsInstance)


def copied(kind: type[T], record: object, **others: Any) -> T:
    """Build a record of exactly that kind, checked once more, that shares nothing which can be changed.

    The fields come from the record, perhaps one of a subclass, or from `others`.

    Raises:
        ValidationError: a document was changed after the record was built, into something that is not JSON.
    """
    names = [field.name for field in attrs.fields(kind) if field.name not in others]
    return kind(**{name: _copied_value(kind, name, getattr(record, name)) for name in names}, **others)


def copied_changes(kind: type, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the changes of an update."""
    return {name: _copied_value(kind, name, value) for name, value in changes.items()}


def _copied_value(kind: type, name: str, value: Any) -> Any:
    match value:
        case dict() if name == "node_states":
            return {node_id: copied(NodeExecutionState, state) for node_id, state in value.items()}
        case dict() | list():
            return loads(dumps(value, record=kind.__name__, field=name))
        case tuple():
            return tuple(copied(ToolCall, call) for call in value)
        case TokenUsage():
            return copied(TokenUsage, value)
    return value
