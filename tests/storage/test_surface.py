"""The public names: adding or losing one is a decision, made here."""

import inspect

import pytest

import aaow_storage
from aaow_storage import authoring, errors, hookspecs, sync

PUBLIC = """
All AnyOf Between Not
AdapterClosedError AlreadyExistsError ApprovalChanges ApprovalRequest ApprovalStatus ApprovalType Backend
BackendNotFoundError BudgetExceededError BudgetPool BudgetPoolChanges BudgetPoolStatus Capability ConflictError
Change ChangeAction ChangesLostError Contains ContentionError CorruptDataError
DelegatingAdapter DelegatingOperations DelegatingTransaction
Direction FieldName Ge Gt In JSON JSONObject LLMExecution LLMExecutionResult Le Lt Ne
NodeAttempt NodeExecutionState NodeExecutionStatus NodeState NotFoundError NotIn NotOfferedError OMITTED OrderBy
OutcomeUnknownError Patch QueryFilter
SchemaVersionError Session
SessionChanges SessionStatus StartsWith StorageAdapter StorageError StorageOperations StorageUnavailableError
StoreBusyError
StoredWorkflow StreamEvent StreamSummary TokenUsage ToolCall ToolCallLog Transaction TransactionError
TransactionOutcome UnsupportedOperationError UsageKey UsageSummary ValidationError WorkflowChanges
WorkflowExecutionState available_backends create_adapter maintenance_of
new_id now open_adapter open_sync register_plugin unregister_plugin
"""
FOR_AUTHORS = """
BackupContent Durability MaintenanceFinding RecordFinding SchemaStatus SessionSize StepCallback StoreMaintenance
StoreSizes TableSize
ChangeQuery FeedEntry FeedPosition FeedRow check_kept check_prune make_change parse_position plan_changes position_in
same_record
ConditionGroup Connective DEFAULT_ORDER DEPENDENT_FIELDS NOT_ALWAYS_OPTIONAL_FIELDS
Decision SessionStatusWord StillPending check_session_status decision_on
CLOSED CLOSED_IN_TRANSACTION Condition DOCUMENT_FIELDS FieldKind INHERITED KEY_FIELDS KINDS MAX_AMOUNT_DIGITS MAX_COUNT
MAX_DEPTH MAX_ID_LENGTH OMITTED_FIELDS TOKEN_FIGURES UsageGroup UsageQuery UsageSums
OpenTransactions Operator POLL_INTERVAL_S Probe QUERY_FIELDS QueryField QueryPlan Watcher announce_commit
apply_changes bind_transaction check_event_loop check_events check_execution_of_call check_id check_instant check_json
check_only_if check_pending check_record check_sequence check_text check_timeout cleaning_up_after consumed day_of
decoding dumps dumps_document dumps_unchecked given_up_after_fork has_run_out hour_of increased is_decidable loads
node_of note_failure own_changes plan_only_if plan_query plan_usage positive_amount redacted_text redacted_url
released_when_dropped resolve_field resolved run_all shown sort_key storage_errors_alone summarize_streams
text_problem unforeseen url_scheme value_at without_documents
"""
SYNCHRONOUS = "SyncAdapter SyncIterator SyncOperations SyncTransaction"
HOOKS = """
PROJECT aaow_storage_adapter_created aaow_storage_backend aaow_storage_price
aaow_storage_wrap_adapter hookimpl hookspec
"""


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (aaow_storage, PUBLIC),
        (authoring, FOR_AUTHORS),
        (hookspecs, HOOKS),
        (sync, SYNCHRONOUS),
        (errors, " ".join(name for name in PUBLIC.split() if name.endswith("Error"))),
    ],
)
def test_the_public_names_are_these(module: object, names: str):
    assert sorted(module.__all__) == sorted(names.split())
    assert all(hasattr(module, name) for name in names.split())


@pytest.mark.parametrize("module", [aaow_storage, authoring, hookspecs, errors, sync])
def test_everything_public_says_what_it_is(module: object):
    defined = [getattr(module, name) for name in module.__all__]
    documented = [each for each in defined if inspect.isclass(each) or inspect.isfunction(each)]
    assert [each for each in documented if not inspect.getdoc(each)] == []
