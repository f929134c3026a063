"""The store as pages see it: they can only read it, and decide; no page can forget to redact what it shows."""

import copy
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from enum import Enum
from typing import Any

import attrs

from aaow_storage import DelegatingAdapter, StorageAdapter, StreamEvent, Transaction, UsageSummary
from aaow_storage.errors import ConflictError, StorageError

REPLACEMENT = "[redacted]"
_KEPT = frozenset({"id", "position", "stream_id", "node_id", "tool_call_id", "kind"})
"""Fields that links are made of; so are those whose names end with `_id`."""
_READING = ("count_", "get_", "list_", "summarize_")
_READING_ALSO = frozenset({"last_change", "wait_for_approval"})
_DECIDING = frozenset({"approve_request", "reject_request"})


class NotOffered(StorageError):  # noqa: N818 - it is never seen by callers of the storage, and says what is not done
    """An operation that changes the store was called, and is none that the studio may do; nothing was changed.

    Attributes:
        operation: the operation.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.operation = operation

    def __str__(self) -> str:
        return f"the studio does not call {self.operation}(): it only reads the store, and decides if that is allowed"


class RedactedAdapter(DelegatingAdapter):
    """An adapter in front of another, whose results are redacted, and through which nothing but decisions is written.

    Args:
        wrapped: the store.
        patterns: what they match in texts and JSON is replaced.
        allows_decisions: whether requests can be approved and rejected.
    """

    def __init__(
        self, wrapped: StorageAdapter, patterns: Sequence[re.Pattern[str]], *, allows_decisions: bool = False
    ) -> None:
        super().__init__(wrapped)
        self._patterns = patterns
        self._allows_decisions = allows_decisions

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        """Call the operation; return what it returns, redacted.

        Raises:
            NotOffered: it is none that reads, and no decision that is allowed.
        """
        is_reading = operation.startswith(_READING) or operation in _READING_ALSO
        if not is_reading and not (self._allows_decisions and operation in _DECIDING):
            raise NotOffered(operation)
        try:
            return self.redacted(await super().pass_on(operation, *arguments, **options))
        except ConflictError as error:
            error.current = self.redacted(error.current)
            raise

    async def begin_transaction(self, timeout: float = 30.0) -> Transaction:  # noqa: ASYNC109 - how long it may stay open
        """Refuse: what a transaction does would not come through here."""
        raise NotOffered("begin_transaction")

    async def watch_stream(self, stream_id: str, *arguments: Any, **options: Any) -> AsyncGenerator[StreamEvent, None]:
        """Yield the events of a stream, redacted."""
        async with aclosing(self.wrapped.watch_stream(stream_id, *arguments, **options)) as events:
            async for event in events:
                yield self.redacted(event)

    def redacted(self, value: Any) -> Any:
        """Return a value with all texts in it redacted, but for ids."""
        if not self._patterns:
            return value
        return _map_texts(value, self._redact)

    def _redact(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(REPLACEMENT, text)
        return text


Change = Callable[[str], str]


def _map_texts(value: Any, change: Change) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        changed = [_map_texts(each, change) for each in value]
        return changed if isinstance(value, list) else tuple(changed)
    if isinstance(value, Mapping):
        return _with_keys((change(key) if isinstance(key, str) else key, each, change) for key, each in value.items())
    if attrs.has(type(value)):
        return _map_fields(value, change)
    return value


def _with_keys(items: Any) -> dict[Any, Any]:
    """Return a mapping; keys that have become equal are numbered, so that no value is lost."""
    found: dict[Any, Any] = {}
    for key, value, change in items:
        name, number = key, 1
        while name in found:
            number += 1
            name = f"{key} {number}"
        found[name] = _map_texts(value, change)
    return found


def _map_fields(record: Any, change: Change) -> Any:
    changes = {}
    for field in attrs.fields(type(record)):
        if field.name in _KEPT or field.name.endswith("_id"):
            continue
        old = getattr(record, field.name)
        if field.name == "node_states" or isinstance(record, UsageSummary):
            new = _map_values(old, change)
        else:
            new = _map_texts(old, change)
        if new is not old and new != old:
            changes[field.name] = new
    return _with(record, changes) if changes else record


def _map_values(value: Any, change: Change) -> Any:
    """Return a mapping whose keys are ids, or names that the library gives, and stay; so do the ids in it."""
    if not isinstance(value, Mapping):
        return _map_texts(value, change)
    return {key: each if str(key).endswith("_id") else _map_texts(each, change) for key, each in value.items()}


def _with(record: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy with other texts; `attrs.evolve` would refuse a record whose documents were left out."""
    changed = copy.copy(record)
    for name, value in changes.items():
        object.__setattr__(changed, name, value)
    return changed
