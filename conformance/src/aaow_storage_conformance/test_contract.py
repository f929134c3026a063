"""The whole suite, collected by `pytest --pyargs aaow_storage_conformance --storage-backend=NAME`."""

from aaow_storage_conformance import (
    AmountTests,
    ApprovalTests,
    AtomicityTests,
    BlockTests,
    BudgetTests,
    CancellationTests,
    ChangeReaderTests,
    ClosingTests,
    CombinationTests,
    ConcurrencyTests,
    ConditionalUpdateTests,
    CrosswiseTests,
    CursorTests,
    DifferentialTests,
    DocumentTests,
    DurabilityTests,
    EndingTests,
    ErrorTests,
    ExecutionTests,
    FilterSizeTests,
    FollowingTests,
    HandleTests,
    HandlingTests,
    HolderTests,
    InputTests,
    IsolationTests,
    LeavingTests,
    LifecycleTests,
    LongListTests,
    LosingTests,
    LostChangeTests,
    MaintenanceTests,
    ModelTests,
    NestingTests,
    NumberTests,
    ObservabilityTests,
    OmissionTests,
    OperationTests,
    OperatorTests,
    PagingTests,
    PatchTests,
    PlainValueTests,
    QueryTests,
    RaceTests,
    RecordedChangeTests,
    RecordTests,
    ResemblanceTests,
    RetryabilityTests,
    ReturnTests,
    SchemaTests,
    SequenceTests,
    SessionStatusTests,
    SessionTests,
    SharingTests,
    SideEffectTests,
    SnapshotTests,
    StateTests,
    StoredStreamTests,
    StoreWideTests,
    StreamOrderTests,
    StreamTests,
    TransactionTests,
    TransactTests,
    UnsupportedChangeTests,
    UpdateTests,
    UsageTests,
    WaitingTests,
    WorkflowTests,
)


class TestAmounts(AmountTests):
    """Amounts of 36 digits."""


class TestApprovals(ApprovalTests):
    """Approval requests."""


class TestAtomicity(AtomicityTests):
    """Atomic operations and visible commits."""


class TestBlocks(BlockTests):
    """Blocks that raise."""


class TestBudgets(BudgetTests):
    """Budget pools."""


class TestCancellation(CancellationTests):
    """Cancelled tasks."""


class TestChangeReaders(ChangeReaderTests):
    """Readers of the change feed."""


class TestClosing(ClosingTests):
    """Closing."""


class TestCombinations(CombinationTests):
    """Calls that combine changes, conditions or orders."""


class TestConcurrency(ConcurrencyTests):
    """Many tasks, threads and processes."""


class TestConditionalUpdates(ConditionalUpdateTests):
    """Updates with a condition."""


class TestCrosswise(CrosswiseTests):
    """Transactions that write the same records in another order."""


class TestCursors(CursorTests):
    """Cursors of pages."""


class TestDifferential(DifferentialTests):
    """Random filters against the query plan."""


class TestDocuments(DocumentTests):
    """The JSON inside records."""


class TestDurability(DurabilityTests):
    """Processes that are killed."""


class TestEndings(EndingTests):
    """Long ids, texts and keys that differ at their end."""


class TestErrors(ErrorTests):
    """Errors."""


class TestExecutions(ExecutionTests):
    """LLM executions and tool calls."""


class TestFilterSizes(FilterSizeTests):
    """Large filters."""


class TestFollowing(FollowingTests):
    """Streams in the order of commits."""


class TestHandles(HandleTests):
    """Reads through one handle after writes through another."""


class TestHandling(HandlingTests):
    """Copies, second blocks and other event loops."""


class TestHolders(HolderTests):
    """Tasks that hold a transaction."""


class TestInputs(InputTests):
    """Inputs that have messages in common."""


class TestIsolation(IsolationTests):
    """Concurrent transactions."""


class TestLeaving(LeavingTests):
    """Adapters dropped, or inherited by a forked process."""


class TestLifecycle(LifecycleTests):
    """Initializing and reopening."""


class TestLongLists(LongListTests):
    """Lists of more records than a page of the defaults has."""


class TestLosing(LosingTests):
    """Transactions that lose to others."""


class TestLostChanges(LostChangeTests):
    """Changes that are pruned or were not recorded."""


class TestMaintenance(MaintenanceTests):
    """What the tools of operators ask of a backend."""


class TestModel(ModelTests):
    """Random histories against a model."""


class TestNesting(NestingTests):
    """Nested savepoints."""


class TestNumbers(NumberTests):
    """Large numbers."""


class TestObservability(ObservabilityTests):
    """Models, inputs, costs and attempts; tool calls without a model call."""


class TestOmissions(OmissionTests):
    """Lists without documents."""


class TestOperations(OperationTests):
    """The verbs: get, list, create, log, save, update, delete."""


class TestOperators(OperatorTests):
    """Conditions that are made of others."""


class TestPaging(PagingTests):
    """Orders and pages."""


class TestPatches(PatchTests):
    """Patches of JSON objects."""


class TestPlainValues(PlainValueTests):
    """Values of subclasses of plain types."""


class TestQueries(QueryTests):
    """Filters."""


class TestRaces(RaceTests):
    """Races of two calls."""


class TestRecordedChanges(RecordedChangeTests):
    """What is in the change feed."""


class TestRecords(RecordTests):
    """Records."""


class TestResemblances(ResemblanceTests):
    """Similar documents."""


class TestRetryability(RetryabilityTests):
    """What errors say about another attempt."""


class TestReturns(ReturnTests):
    """Return values."""


class TestSchemas(SchemaTests):
    """Stores of a newer schema."""


class TestSequences(SequenceTests):
    """Sequences in one transaction."""


class TestSessionStatus(SessionStatusTests):
    """The status of a session."""


class TestSessions(SessionTests):
    """Sessions."""


class TestSharing(SharingTests):
    """Equal documents of different records."""


class TestSideEffects(SideEffectTests):
    """Side effects."""


class TestSnapshots(SnapshotTests):
    """Reads of one instant."""


class TestStates(StateTests):
    """Execution states."""


class TestStoreWide(StoreWideTests):
    """Lists over all sessions, and single nodes."""


class TestStreamOrder(StreamOrderTests):
    """The sequences of stream events."""


class TestStoredStreams(StoredStreamTests):
    """Events that are saved and deleted together."""


class TestStreams(StreamTests):
    """Stream events."""


class TestTransact(TransactTests):
    """Transactions that are run again."""


class TestTransactions(TransactionTests):
    """Transactions."""


class TestUnsupportedChanges(UnsupportedChangeTests):
    """Stores without the change feed."""


class TestUpdates(UpdateTests):
    """Updates."""


class TestUsage(UsageTests):
    """Sums of usage."""


class TestWaiting(WaitingTests):
    """Waiting for an approval."""


class TestWorkflows(WorkflowTests):
    """Workflows."""
