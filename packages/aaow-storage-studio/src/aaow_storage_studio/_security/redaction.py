"""Replaces what patterns match in the texts and the JSON of records, as they are read: no page can forget to do it."""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from aaow_storage import DelegatingAdapter, StorageAdapter

REPLACEMENT = "[redacted]"
_KEPT = frozenset({"id", "position", "stream_id", "node_id", "tool_call_id", "kind"})
"""Fields that links are made of; so are those whose names end with `_id`."""


class RedactedAdapter(DelegatingAdapter):
    """An adapter in front of another, whose results are redacted."""

    def __init__(self, wrapped: StorageAdapter, patterns: Sequence[re.Pattern[str]]) -> None:
        super().__init__(wrapped)
        self._patterns = patterns

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        """Call the operation; return what it returns, redacted."""
        return self.redacted(await super().pass_on(operation, *arguments, **options))

    def redacted(self, value: Any) -> Any:
        """Return a value with all texts in it redacted, but for ids."""
        if not self._patterns:
            return value
        return _map_texts(value, self._redact)

    def _redact(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(REPLACEMENT, text)
        return text


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if type(value) is str:
        return change(value)
    if isinstance(value, list | tuple):
        changed = [_map_texts(each, change) for each in value]
        return changed if isinstance(value, list) else tuple(changed)
    if isinstance(value, Mapping):
        return {key: _map_texts(each, change) for key, each in value.items()}
    if attrs.has(type(value)):
        changes = {}
        for field in attrs.fields(type(value)):
            if field.name in _KEPT or field.name.endswith("_id"):
                continue
            old = getattr(value, field.name)
            new = _map_texts(old, change)
            if new is not old and new != old:
                changes[field.name] = new
        return _with(value, changes) if changes else value
    return value


def _with(record: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy with other texts; `attrs.evolve` would refuse a record whose documents were left out."""
    changed = copy.copy(record)
    for name, value in changes.items():
        object.__setattr__(changed, name, value)
    return changed
