"""Checked copies of records. Only copies go into the tables, and only copies come out.

A copy of a long document is built in steps, and other tasks run between them. The source is read before the first step:
a caller that changes its document during the copy does not change the copy.
"""

import asyncio
from collections.abc import Generator, Iterator
from typing import Any, Generic, TypeVar

import attrs

from aaow_storage import NodeAttempt, NodeExecutionState, TokenUsage, ToolCall
from aaow_storage.authoring import decoding, dumps, dumps_unchecked

T = TypeVar("T", bound=attrs.AttrsInstance)

_Steps = Generator[None, None, T]


def copy_record(kind: type[T], record: object, **others: Any) -> T:
    """Build a record of exactly that kind. It is validated, and shares no mutable value with the source.

    The fields come from the record, which may be of a subclass, or from `others`.

    Raises:
        ValidationError: the source was changed after it was built, and holds an invalid value.
    """
    copy = _Copy(kind, record, others, is_stored=False)
    for _ in copy:
        pass
    return copy.record


async def copy_record_yielding(kind: type[T], record: object, *, is_stored: bool = False, **others: Any) -> T:
    """Copy as `copy_record` does, and let other tasks run between the steps of a long document.

    The documents of a record that is stored are not checked again.

    Raises:
        ValidationError: as `copy_record`.
    """
    copy = _Copy(kind, record, others, is_stored=is_stored)
    for _ in copy:
        await asyncio.sleep(0)
    return copy.record


class _Copy(Generic[T]):
    """A copy in the making. Iterate over its steps; then it has the `record`."""

    record: T

    def __init__(self, kind: type[T], record: object, others: dict[str, Any], *, is_stored: bool) -> None:
        self._fields = _snapshot_fields(kind, record, others, is_stored=is_stored)

    def __iter__(self) -> Iterator[None]:
        self.record = yield from _build(self._fields)


@attrs.frozen
class _JSONText:
    """A list or dict as JSON."""

    text: str


@attrs.frozen
class _RecordFields:
    """The fields of a record that is not built yet."""

    kind: type[Any]
    values: dict[str, Any]


def _snapshot_fields(kind: type[Any], record: object, others: dict[str, Any], *, is_stored: bool) -> _RecordFields:
    values = {
        field.name: _snapshot(kind, field.name, getattr(record, field.name), is_stored=is_stored)
        for field in attrs.fields(kind)
        if field.name not in others
    }
    return _RecordFields(kind, {**values, **others})


def _snapshot(kind: type, name: str, value: Any, *, is_stored: bool) -> Any:
    """Return an immutable form of the value. A value of a wrong type is kept: the record refuses it when it is built.

    Raises:
        ValidationError: it is a list or dict that is not JSON.
    """
    match value:
        case NodeExecutionState():
            return _snapshot_fields(NodeExecutionState, value, {}, is_stored=is_stored)
        case NodeAttempt():
            return _snapshot_fields(NodeAttempt, value, {}, is_stored=is_stored)
        case TokenUsage():
            return _snapshot_fields(TokenUsage, value, {}, is_stored=is_stored)
        case ToolCall():
            return _snapshot_fields(ToolCall, value, {}, is_stored=is_stored)
        case tuple():
            return tuple(_snapshot(kind, name, part, is_stored=is_stored) for part in value)
        case dict() if name == "node_states":
            return {node_id: _snapshot(kind, name, state, is_stored=is_stored) for node_id, state in value.items()}
        case dict() | list():
            return _JSONText(dumps_unchecked(value) if is_stored else dumps(value, record=kind.__name__, field=name))
    return value


def _build(fields: _RecordFields) -> _Steps[Any]:
    """Build the record. A long document is set after validation, since its text is checked already."""
    long: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for name, value in fields.values.items():
        made[name] = yield from _decode(value)
        if isinstance(value, _JSONText) and len(value.text) > _LONG_TEXT_LENGTH:
            long[name] = made[name]
            made[name] = type(made[name])()
    record = fields.kind(**made)
    for name, value in long.items():
        object.__setattr__(record, name, value)
    return record


_LONG_TEXT_LENGTH = 64 * 1024


def _decode(value: Any) -> _Steps[Any]:
    match value:
        case _JSONText():
            decoded: Any = yield from decoding(value.text)
            return decoded
        case _RecordFields():
            record: Any = yield from _build(value)
            return record
        case tuple():
            parts = []
            for part in value:
                parts.append((yield from _decode(part)))  # noqa: PERF401 - a comprehension cannot yield
            return tuple(parts)
        case dict():
            states = {}
            for node_id, state in value.items():
                states[node_id] = yield from _decode(state)
            return states
    return value
