"""The contents of a store as one value, and a comparison that is strict about types."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from aaow_storage import QueryFilter, StorageOperations, StreamEvent, UnsupportedOperationError
from aaow_storage_conformance.data.versions import is_tested_since


async def everything_in(
    storage: StorageOperations,
    *,
    sessions: Iterable[str] = (),
    executions: Iterable[str] = (),
    streams: Iterable[str] = (),
) -> dict[str, list[Any]]:
    """List all records that can be reached from the lists or from the given ids, by kind."""
    contents: dict[str, list[Any]] = {
        "workflows": list(await storage.list_workflows()),
        "sessions": list(await storage.list_sessions()),
        "budget_pools": list(await storage.list_budget_pools()),
        "execution_states": [],
        "llm_executions": [],
        "tool_calls": [],
        "approval_requests": [],
        "stream_events": [],
    }
    execution_ids = set(executions)
    for session_id in sorted({session.id for session in contents["sessions"]} | set(sessions)):
        state = await storage.get_execution_state(session_id)
        contents["execution_states"] += [] if state is None else [state]
        made = await storage.get_llm_executions(session_id)
        contents["llm_executions"] += made
        execution_ids |= {execution.id for execution in made}
        contents["approval_requests"] += await storage.list_approval_requests(session_id)
    for execution_id in sorted(execution_ids):
        contents["tool_calls"] += await storage.get_tool_calls(execution_id)
    if is_tested_since("1.1"):
        contents["tool_calls"] += await storage.list_tool_calls(QueryFilter({"execution_id": None}))
    for stream_id in sorted(set(streams)):
        try:
            contents["stream_events"] += await storage.get_stream_events(stream_id)
        except UnsupportedOperationError:
            break
    return contents


def assert_identical(found: Any, expected: Any) -> None:
    """Check that two values are equal at every level, with the same types, signs of zero and order of keys.

    Only node states may come in any order: they are a mapping, not a document.
    """
    difference = first_difference(found, expected)
    assert difference is None, difference


def first_difference(found: Any, expected: Any) -> str | None:
    """Describe the first difference of two values, or return None; does not recurse, so values may nest deeply."""
    waiting = [(found, expected, "value")]
    while waiting:
        one, other, path = waiting.pop()
        if type(one) is not type(other):
            return (
                f"{path}: found {type(one).__name__} {_shorten(one)}, expected {type(other).__name__} {_shorten(other)}"
            )
        if attrs.has(type(other)):
            one, other = _fields(one), _fields(other)
        if isinstance(other, Mapping):
            if list(one) != list(other):
                return f"{path}: found the keys {_shorten(list(one))}, expected {_shorten(list(other))}"
            waiting += [(one[key], other[key], f"{path}[{key!r}]") for key in reversed(other)]
        elif isinstance(other, list | tuple):
            if len(one) != len(other):
                return f"{path}: found {len(one)} items {_shorten(one)}, expected {len(other)}: {_shorten(other)}"
            items = enumerate(zip(one, other, strict=True))
            waiting += reversed([(*pair, f"{path}[{index}]") for index, pair in items])
        elif repr(one) != repr(other) if isinstance(other, float) else one != other:
            return f"{path}: found {_shorten(one)}, expected {_shorten(other)}"
    return None


def set_by_the_store(found: Any) -> list[Any]:
    """Return the values of those fields of a record, or of each in a list, that do not count when it is compared."""
    if isinstance(found, list):
        return [set_by_the_store(each) for each in found]
    fields = attrs.fields(type(found)) if attrs.has(type(found)) else ()
    return [getattr(found, field.name) for field in fields if not field.eq]


def _fields(record: Any) -> dict[str, Any]:
    """Return the fields that count when records are compared; the others are set by the store."""
    values = {field.name: getattr(record, field.name) for field in attrs.fields(type(record)) if field.eq}
    if "node_states" in values:
        values["node_states"] = dict(sorted(values["node_states"].items()))
    return values


def _shorten(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def sequences(events: list[StreamEvent]) -> list[int | None]:
    """Return the sequences of events."""
    return [event.sequence for event in events]
