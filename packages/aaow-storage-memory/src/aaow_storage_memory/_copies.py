"""Checked copies, which are all that ever goes into the tables or comes out of them.

The copy of a long document is made in pieces, between which other tasks have their turn. What it is a copy of is fixed
before the first of them: what a caller does to his document meanwhile has no effect.
"""

import asyncio
from collections.abc import Generator
from typing import Any, TypeVar

import attrs

from aaow_storage import NodeExecutionState, TokenUsage, ToolCall
from aaow_storage.authoring import decoding, dumps, dumps_unchecked

T = TypeVar("T", bound=attrs.AttrsInstance)

_Steps = Generator[None, None, T]


def copy_record(kind: type[T], record: object, **others: Any) -> T:
    """Build a record of exactly that kind, checked once more, that shares nothing which can be changed.

    The fields come from the record, perhaps one of a subclass, or from `others`.

    Raises:
        ValidationError: what the record holds was changed after it was built, into something that it cannot hold.
    """
    steps = _copy_steps(kind, record, others, is_stored=False)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made


async def copy_record_yielding(kind: type[T], record: object, *, is_stored: bool = False, **others: Any) -> T:
    """Copy as `copied` does, and let other tasks run between the pieces of a long document.

    A record that is stored is a copy already, and its documents are not checked again.

    Raises:
        ValidationError: as `copied`.
    """
    steps = _copy_steps(kind, record, others, is_stored=is_stored)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: T = end.value
            return made
        await asyncio.sleep(0)


@attrs.frozen
class _JSONText:
    """A list or dict, as JSON."""

    text: str


@attrs.frozen
class _RecordFields:
    """A record that is not built yet."""

    kind: type[Any]
    values: dict[str, Any]


def _copy_steps(kind: type[T], record: object, others: dict[str, Any], *, is_stored: bool) -> _Steps[T]:
    fields = _snapshot_fields(kind, record, others, is_stored=is_stored)
    made: T = yield from _build(fields)
    return made


def _snapshot_fields(kind: type[T], record: object, others: dict[str, Any], *, is_stored: bool) -> _RecordFields:
    values = {
        field.name: _snapshot(kind, field.name, getattr(record, field.name), is_stored=is_stored)
        for field in attrs.fields(kind)
        if field.name not in others
    }
    return _RecordFields(kind, {**values, **others})


def _snapshot(kind: type, name: str, value: Any, *, is_stored: bool) -> Any:
    """Return what a copy of the value can be made of later; one of a wrong type is left for the record to refuse.

    Raises:
        ValidationError: it is a list or dict that is not JSON.
    """
    match value:
        case NodeExecutionState():
            return _snapshot_fields(NodeExecutionState, value, {}, is_stored=is_stored)
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
    """Build the record. A long document, which was checked when its text was made, is put in behind the checks."""
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
                parts.append((yield from _decode(part)))  # noqa: PERF401 - a comprehension cannot wait
            return tuple(parts)
        case dict():
            states = {}
            for node_id, state in value.items():
                states[node_id] = yield from _decode(state)
            return states
    return value
