"""Which version of the contract the backend under test was built for, and what of records and operations is newer.

A backend that was built for an older version need not keep newer fields, so records are made without them for it.
"""

from typing import Any

from aaow_storage import LLMExecution, LLMExecutionResult, NodeExecutionState, StreamEvent, TokenUsage, ToolCallLog
from aaow_storage_conformance._contract import parsed

LATER_FIELDS: dict[str, dict[type, frozenset[str]]] = {
    "1.1": {
        LLMExecutionResult: frozenset(
            ["provider", "model", "input", "output", "completed_at", "finish_reason", "cost", "currency", "attempt"]
        ),
        NodeExecutionState: frozenset({"attempts"}),
        TokenUsage: frozenset({"cache_read_tokens", "cache_write_tokens", "reasoning_tokens"}),
        ToolCallLog: frozenset({"session_id", "node_id"}),
        StreamEvent: frozenset({"session_id", "sequence"}),
    }
}
"""The fields that came with each version after the first."""


LATER_ARGUMENTS: dict[str, frozenset[str]] = {"1.1": frozenset({"after_sequence", "only_if", "session_status"})}
"""The arguments that operations of the first version took with each version after it."""


class _Tested:
    """The version that the backend under test was built for."""

    version = max(LATER_FIELDS, key=parsed)


def set_tested_version(version: str) -> None:
    """Make records, from now on, for a backend that was built for that version."""
    _Tested.version = version


def is_tested_since(version: str) -> bool:
    """Say whether the backend under test was built for that version, or a later one."""
    return parsed(_Tested.version) >= parsed(version)


def is_later(argument: str) -> bool:
    """Say whether an argument of an operation is newer than the version that the backend under test was built for."""
    return any(argument in names and not is_tested_since(version) for version, names in LATER_ARGUMENTS.items())


def later_fields(kind: type) -> frozenset[str]:
    """Return the fields of a record that the backend under test need not keep."""
    kind = LLMExecutionResult if kind is LLMExecution else kind
    later = [
        fields.get(kind, frozenset())
        for version, fields in LATER_FIELDS.items()
        if parsed(version) > parsed(_Tested.version)
    ]
    return frozenset().union(*later)


def without_later(kind: type, fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the backend under test need not keep."""
    later = later_fields(kind)
    return {name: value for name, value in fields.items() if name not in later} if later else fields
