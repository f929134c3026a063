"""Choosing records by a filter, and copying those that were chosen."""

from collections.abc import Iterable
from typing import Any, TypeVar

import attrs

from aaow_storage import LLMExecution, QueryFilter, ToolCallLog
from aaow_storage.authoring import OMITTED_FIELDS, QueryPlan, check_record, plan_query, without_documents
from aaow_storage_memory._copies import copy_record_yielding
from aaow_storage_memory._tables import Tables

RecordT = TypeVar("RecordT", bound=attrs.AttrsInstance)


def plan(kind: type[RecordT], filter: QueryFilter | None) -> QueryPlan:
    """Return the plan of a filter for lists of a kind.

    Raises:
        ValidationError: the filter is wrong.
    """
    return plan_query(kind, filter)


async def check_and_copy(operation: str, argument: str, value: object, kind: type[RecordT]) -> RecordT:
    """Return a copy of an argument.

    Raises:
        ValidationError: it is no valid record of that kind.
    """
    check_record(operation, argument, value, kind)
    return await copy_record_yielding(kind, value)


async def copy_selected(
    kind: type[RecordT], records: Iterable[RecordT], filter: QueryFilter | None, order: str | None = None
) -> list[RecordT]:
    """Return copies of the stored records that a filter chooses, in its order, or by default in that one.

    Raises:
        ValidationError: the filter is wrong.
    """
    chosen = plan_query(kind, filter, order)
    selected = chosen.select_whole(records)
    if chosen.documents or kind not in OMITTED_FIELDS:
        return [await copy_record_yielding(kind, record, is_stored=True) for record in selected]
    empty: dict[str, Any] = {name: {} for name in OMITTED_FIELDS[kind]}
    return [without_documents(await copy_record_yielding(kind, record, is_stored=True, **empty)) for record in selected]


def calls_of_session(tables: Tables, session_id: str) -> list[ToolCallLog]:
    """Return the calls of the session's executions, and those that name the session itself."""
    of_session = tables.all(ToolCallLog, session_id=session_id)
    calls = [call for call in of_session if call.execution_id is None]
    for execution in tables.all(LLMExecution, session_id=session_id):
        calls += tables.all(ToolCallLog, execution_id=execution.id)
    return calls


def with_session(tables: Tables, call: ToolCallLog) -> ToolCallLog:
    """Return the call with the session and node of its execution."""
    if call.execution_id is None:
        return call
    execution = tables.existing(LLMExecution, call.execution_id)
    return attrs.evolve(call, session_id=execution.session_id, node_id=execution.node_id)
