"""Checked copies, which are all that ever goes into the tables or comes out of them."""

from typing import Any, TypeVar

import attrs

from aaow_storage import NodeExecutionState, TokenUsage, ToolCall
from aaow_storage.authoring import dumps, loads

T = TypeVar("T", bound=attrs.AttrsInstance)


def copied(kind: type[T], record: object, **others: Any) -> T:
    """Build a record of exactly that kind, checked once more, that shares nothing which can be changed.

    The fields come from the record, perhaps one of a subclass, or from `others`.

    Raises:
        ValidationError: what the record holds was changed after it was built, into something that it cannot hold.
    """
    names = [field.name for field in attrs.fields(kind) if field.name not in others]
    return kind(**{name: copied_value(kind, name, getattr(record, name)) for name in names}, **others)


def copied_value(kind: type, name: str, value: Any) -> Any:
    """Copy the value of a field; one of a wrong type is left for the record to refuse.

    Raises:
        ValidationError: it is a list or dict that is not JSON.
    """
    match value:
        case NodeExecutionState():
            return copied(NodeExecutionState, value)
        case TokenUsage():
            return copied(TokenUsage, value)
        case ToolCall():
            return copied(ToolCall, value)
        case tuple():
            return tuple(copied_value(kind, name, part) for part in value)
        case dict() if name == "node_states":
            return {node_id: copied_value(kind, name, state) for node_id, state in value.items()}
        case dict() | list():
            return loads(dumps(value, record=kind.__name__, field=name))
    return value
