"""`SessionReader`: reads what belongs to sessions, for many small ones at once, or for one of any size in parts."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from attrs import evolve

from aaow_storage import FieldName, In, LLMExecution, QueryFilter, StorageOperations, ToolCallLog
from aaow_storage_tools._copying.batches import Item
from aaow_storage_tools._kinds import (
    APPROVAL_REQUEST,
    EXECUTION_STATE,
    LLM_EXECUTION,
    TOOL_CALL,
    Kind,
)
from aaow_storage_tools._pages import PageLength, pages_of

_DIRECT: dict[FieldName, Any] = {"execution_id": None}
"""What tool calls meet that belong to no execution."""


class SessionReader:
    """Reads what belongs to sessions, but stream events.

    An execution comes before its tool calls. The status of an execution state is that of its session, even if another
    one was set between the two reads.

    Attributes:
        fullness: how full the fullest page of the last `read` was, from 0 to 1.
    """

    def __init__(self, storage: StorageOperations) -> None:
        self._storage = storage
        self._lengths: dict[str, PageLength] = {}
        self.fullness = 0.0

    async def read(self, session_ids: Sequence[str], *, documents: bool = True) -> list[Item] | None:
        """Return all that belongs to these sessions, or None if that is more than a page of one kind."""
        self.fullness = 0.0
        items: list[Item] = []
        executions: list[LLMExecution] = []
        for kind in (EXECUTION_STATE, APPROVAL_REQUEST, LLM_EXECUTION):
            records = await self._read_kind(kind, session_ids, documents=documents)
            if records is None:
                return None
            items += [Item(kind, record) for record in records]
            if kind is LLM_EXECUTION:
                executions = records
        for calls in (await self._calls_of(executions), await self._read_direct_calls(session_ids)):
            if calls is None:
                return None
            items += [Item(TOOL_CALL, call) for call in calls]
        return items

    async def read_in_parts(self, session_id: str, *, documents: bool = True) -> AsyncIterator[list[Item]]:
        """Yield all that belongs to one session, in parts of about a page."""
        for kind in (EXECUTION_STATE, APPROVAL_REQUEST):
            async for page in self._pages(kind, session_id, documents=documents):
                yield [Item(kind, record) for record in page]
        async for executions in self._pages(LLM_EXECUTION, session_id, documents=documents):
            yield [Item(LLM_EXECUTION, execution) for execution in executions]
            async for calls in self._calls_in_parts(executions):
                yield [Item(TOOL_CALL, call) for call in calls]
        async for page in self._direct_calls(session_id):
            yield [Item(TOOL_CALL, call) for call in page]

    async def _read_kind(self, kind: Kind[Any], session_ids: Sequence[str], *, documents: bool) -> list[Any] | None:
        length = self._length(kind)
        if kind.lists_whole_store(self._storage):
            wanted = QueryFilter({"session_id": In([*session_ids])}, documents=documents)
            return await self._whole_page(lambda page: kind.list_page(self._storage, page), wanted, length)
        return await self._each_session(kind, session_ids, QueryFilter(documents=documents), length)

    async def _each_session(
        self, kind: Kind[Any], session_ids: Sequence[str], wanted: QueryFilter, length: PageLength
    ) -> list[Any] | None:
        list_of_session = kind.list_of_session
        assert list_of_session is not None, kind.name  # noqa: S101 - these kinds have it
        found: list[Any] = []
        for session_id in session_ids:

            def of_session(page: QueryFilter, session_id: str = session_id) -> Any:
                return list_of_session(self._storage, session_id, page)

            records = await self._whole_page(of_session, wanted, length)
            if records is None:
                return None
            found += records
        return found

    async def _read_direct_calls(self, session_ids: Sequence[str]) -> list[ToolCallLog] | None:
        length = self._length(TOOL_CALL)
        if TOOL_CALL.lists_whole_store(self._storage):
            wanted = QueryFilter({**_DIRECT, "session_id": In([*session_ids])})
            return await self._whole_page(self._storage.list_tool_calls, wanted, length)
        return await self._each_session(TOOL_CALL, session_ids, QueryFilter(_DIRECT), length)

    async def _calls_of(self, executions: Sequence[LLMExecution]) -> list[ToolCallLog] | None:
        """Return the tool calls of these executions, or None if there are many."""
        if not executions:
            return []
        length = self._length(TOOL_CALL)
        if TOOL_CALL.lists_whole_store(self._storage):
            wanted = QueryFilter({"execution_id": In([execution.id for execution in executions])})
            return await self._whole_page(self._storage.list_tool_calls, wanted, length)
        found: list[ToolCallLog] = []
        for execution in executions:
            wanted = QueryFilter(limit=length.value + 1)
            found += await self._storage.get_tool_calls(execution.id, wanted)
            if len(found) > length.value:
                return None
        return found

    async def _calls_in_parts(self, executions: Sequence[LLMExecution]) -> AsyncIterator[list[ToolCallLog]]:
        """Yield the tool calls of a page of executions, in parts."""
        calls = await self._calls_of(executions)
        if calls is not None:
            if calls:
                yield calls
            return
        for execution in executions:

            async def of_execution(page: QueryFilter, id: str = execution.id) -> list[ToolCallLog]:
                return await self._storage.get_tool_calls(id, page)

            async for page in pages_of(of_execution):
                yield page

    async def _direct_calls(self, session_id: str) -> AsyncIterator[list[ToolCallLog]]:
        async def of_session(page: QueryFilter) -> list[ToolCallLog]:
            if TOOL_CALL.lists_whole_store(self._storage):
                return await self._storage.list_tool_calls(page)
            return await self._storage.get_session_tool_calls(session_id, page)

        async for page in pages_of(of_session, QueryFilter({**_DIRECT, "session_id": session_id})):
            yield page

    async def _pages(self, kind: Kind[Any], session_id: str, *, documents: bool) -> AsyncIterator[list[Any]]:
        list_of_session = kind.list_of_session
        assert list_of_session is not None, kind.name  # noqa: S101 - these kinds have it
        wanted = QueryFilter(documents=documents)
        async for page in pages_of(lambda page: list_of_session(self._storage, session_id, page), wanted):
            yield page

    def _length(self, kind: Kind[Any]) -> PageLength:
        return self._lengths.setdefault(kind.name, PageLength())

    async def _whole_page(
        self, list_page: Callable[[QueryFilter], Any], wanted: QueryFilter, length: PageLength
    ) -> list[Any] | None:
        """Return the records that match, or None if they are more than a page."""
        limit = length.value
        records: list[Any] = await list_page(evolve(wanted, limit=limit + 1))
        self.fullness = max(self.fullness, len(records) / limit)
        if records:
            length.learn_from(records)
        return records if len(records) <= limit else None
