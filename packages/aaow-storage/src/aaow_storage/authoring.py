"""For authors of backends: the checks, query plans and rules that all backends share.

What is for maintenance alone is imported when it is first used: an adapter needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aaow_storage._amounts import MAX_AMOUNT_DIGITS
from aaow_storage._arguments import (
    check_events,
    check_id,
    check_instant,
    check_record,
    check_sequence,
    check_session_status,
    check_text,
    check_timeout,
    positive_amount,
)
from aaow_storage._change_feed import (
    ChangeQuery,
    FeedEntry,
    FeedPosition,
    FeedRow,
    check_kept,
    check_prune,
    make_change,
    parse_position,
    plan_changes,
    position_in,
)
from aaow_storage._changes import apply_changes, own_changes
from aaow_storage._chunked_decoding import decoding
from aaow_storage._decisions import Decision, StillPending, decision_on
from aaow_storage._enums import SessionStatusWord
from aaow_storage._event_loop import check_event_loop
from aaow_storage._failures import cleaning_up_after, note_failure, run_all, storage_errors_alone, unforeseen
from aaow_storage._finalizer import released_when_dropped
from aaow_storage._forks import INHERITED, given_up_after_fork
from aaow_storage._json import MAX_DEPTH, check_json, dumps, dumps_document, dumps_unchecked, loads, text_problem
from aaow_storage._only_if import check_only_if, plan_only_if
from aaow_storage._open_transactions import OpenTransactions, bind_transaction
from aaow_storage._query_fields import DEFAULT_ORDER, KEY_FIELDS, QUERY_FIELDS, resolve_field
from aaow_storage._query_plan import (
    Condition,
    ConditionGroup,
    Connective,
    FieldKind,
    Operator,
    QueryField,
    QueryPlan,
    sort_key,
    value_at,
    without_documents,
)
from aaow_storage._query_planner import plan_query
from aaow_storage._record_dicts import same_record
from aaow_storage._records import DEPENDENT_FIELDS, DOCUMENT_FIELDS, KINDS, NOT_ALWAYS_OPTIONAL_FIELDS, OMITTED_FIELDS
from aaow_storage._rules import (
    check_execution_of_call,
    check_pending,
    consumed,
    has_run_out,
    increased,
    is_decidable,
    resolved,
)
from aaow_storage._store_wide_operations import node_of
from aaow_storage._stream_summary import summarize_streams
from aaow_storage._urls import redacted_text, redacted_url, url_scheme
from aaow_storage._usage_summary import TOKEN_FIGURES
from aaow_storage._usage_sums import UsageGroup, UsageQuery, UsageSums, day_of, hour_of, plan_usage
from aaow_storage._values import MAX_COUNT, MAX_ID_LENGTH, shown
from aaow_storage._watching import POLL_INTERVAL_S, Probe, Watcher, announce_commit
from aaow_storage.errors import CLOSED, CLOSED_IN_TRANSACTION

if TYPE_CHECKING:
    from aaow_storage._maintenance import (
        BackupContent,
        Durability,
        MaintenanceFinding,
        RecordFinding,
        SchemaStatus,
        SessionSize,
        StepCallback,
        StoreMaintenance,
        StoreSizes,
        TableSize,
    )

__all__ = [
    "CLOSED",
    "CLOSED_IN_TRANSACTION",
    "DEFAULT_ORDER",
    "DEPENDENT_FIELDS",
    "DOCUMENT_FIELDS",
    "INHERITED",
    "KEY_FIELDS",
    "KINDS",
    "MAX_AMOUNT_DIGITS",
    "MAX_COUNT",
    "MAX_DEPTH",
    "MAX_ID_LENGTH",
    "NOT_ALWAYS_OPTIONAL_FIELDS",
    "OMITTED_FIELDS",
    "POLL_INTERVAL_S",
    "QUERY_FIELDS",
    "TOKEN_FIGURES",
    "BackupContent",
    "ChangeQuery",
    "Condition",
    "ConditionGroup",
    "Connective",
    "Decision",
    "Durability",
    "FeedEntry",
    "FeedPosition",
    "FeedRow",
    "FieldKind",
    "MaintenanceFinding",
    "OpenTransactions",
    "Operator",
    "Probe",
    "QueryField",
    "QueryPlan",
    "RecordFinding",
    "SchemaStatus",
    "SessionSize",
    "SessionStatusWord",
    "StepCallback",
    "StillPending",
    "StoreMaintenance",
    "StoreSizes",
    "TableSize",
    "UsageGroup",
    "UsageQuery",
    "UsageSums",
    "Watcher",
    "announce_commit",
    "apply_changes",
    "bind_transaction",
    "check_event_loop",
    "check_events",
    "check_execution_of_call",
    "check_id",
    "check_instant",
    "check_json",
    "check_kept",
    "check_only_if",
    "check_pending",
    "check_prune",
    "check_record",
    "check_sequence",
    "check_session_status",
    "check_text",
    "check_timeout",
    "cleaning_up_after",
    "consumed",
    "day_of",
    "decision_on",
    "decoding",
    "dumps",
    "dumps_document",
    "dumps_unchecked",
    "given_up_after_fork",
    "has_run_out",
    "hour_of",
    "increased",
    "is_decidable",
    "loads",
    "make_change",
    "node_of",
    "note_failure",
    "own_changes",
    "parse_position",
    "plan_changes",
    "plan_only_if",
    "plan_query",
    "plan_usage",
    "position_in",
    "positive_amount",
    "redacted_text",
    "redacted_url",
    "released_when_dropped",
    "resolve_field",
    "resolved",
    "run_all",
    "same_record",
    "shown",
    "sort_key",
    "storage_errors_alone",
    "summarize_streams",
    "text_problem",
    "unforeseen",
    "url_scheme",
    "value_at",
    "without_documents",
]

_OF_MAINTENANCE = {
    "BackupContent",
    "Durability",
    "MaintenanceFinding",
    "RecordFinding",
    "SchemaStatus",
    "SessionSize",
    "StepCallback",
    "StoreMaintenance",
    "StoreSizes",
    "TableSize",
}


def __getattr__(name: str) -> Any:
    if name not in _OF_MAINTENANCE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("aaow_storage._maintenance"), name)
