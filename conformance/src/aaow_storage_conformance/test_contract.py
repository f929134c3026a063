"""The whole suite, for `pytest --pyargs aaow_storage_conformance --storage-backend=NAME`."""

from aaow_storage_conformance import (
    ApprovalTests,
    AtomicityTests,
    BlockTests,
    BudgetTests,
    CancellationTests,
    ClosingTests,
    CombinationTests,
    ConcurrencyTests,
    DifferentialTests,
    DocumentTests,
    DurabilityTests,
    EndingTests,
    ErrorTests,
    ExecutionTests,
    FilterSizeTests,
    HandleTests,
    HandlingTests,
    HolderTests,
    IsolationTests,
    LeavingTests,
    LifecycleTests,
    ModelTests,
    NestingTests,
    NumberTests,
    OmissionTests,
    OperationTests,
    PagingTests,
    PlainValueTests,
    QueryTests,
    RaceTests,
    RecordTests,
    ResemblanceTests,
    ReturnTests,
    SchemaTests,
    SequenceTests,
    SessionTests,
    SharingTests,
    SideEffectTests,
    SnapshotTests,
    StateTests,
    StreamTests,
    TransactionTests,
    UpdateTests,
    WorkflowTests,
)


class TestApprovals(ApprovalTests):
    """Approval requests."""


class TestAtomicity(AtomicityTests):
    """Atomic and committed."""


class TestBlocks(BlockTests):
    """Blocks that fail."""


class TestBudgets(BudgetTests):
    """Budget pools."""


class TestCancellation(CancellationTests):
    """Cancelled tasks."""


class TestClosing(ClosingTests):
    """Closing."""


class TestCombinations(CombinationTests):
    """Two in one call."""


class TestConcurrency(ConcurrencyTests):
    """Many at once."""


class TestDifferential(DifferentialTests):
    """Random filters."""


class TestDocuments(DocumentTests):
    """The JSON inside records."""


class TestDurability(DurabilityTests):
    """After a kill."""


class TestEndings(EndingTests):
    """Ids, texts and keys that differ at their end."""


class TestErrors(ErrorTests):
    """Errors."""


class TestExecutions(ExecutionTests):
    """LLM executions and tool calls."""


class TestFilterSizes(FilterSizeTests):
    """Large filters."""


class TestHandles(HandleTests):
    """Through another handle."""


class TestHandling(HandlingTests):
    """Copies, second blocks, other event loops."""


class TestHolders(HolderTests):
    """Tasks beside a transaction of their own."""


class TestIsolation(IsolationTests):
    """Transactions beside others."""


class TestLeaving(LeavingTests):
    """Dropped, and inherited by a forked process."""


class TestLifecycle(LifecycleTests):
    """Opening, and opening again."""


class TestModel(ModelTests):
    """Random histories."""


class TestNesting(NestingTests):
    """Savepoints in savepoints."""


class TestNumbers(NumberTests):
    """Large numbers."""


class TestOmissions(OmissionTests):
    """Lists without documents."""


class TestOperations(OperationTests):
    """The verbs."""


class TestPaging(PagingTests):
    """Orders and pages."""


class TestPlainValues(PlainValueTests):
    """Values of subclasses."""


class TestQueries(QueryTests):
    """Filters."""


class TestRaces(RaceTests):
    """Two at once."""


class TestRecords(RecordTests):
    """Records."""


class TestResemblances(ResemblanceTests):
    """Documents that are almost the same."""


class TestReturns(ReturnTests):
    """What operations return."""


class TestSchemas(SchemaTests):
    """A newer schema."""


class TestSequences(SequenceTests):
    """Twice in one transaction."""


class TestSessions(SessionTests):
    """Sessions."""


class TestSharing(SharingTests):
    """Equal documents of different records."""


class TestSideEffects(SideEffectTests):
    """What an operation leaves alone."""


class TestSnapshots(SnapshotTests):
    """Lists of one instant."""


class TestStates(StateTests):
    """Execution states."""


class TestStreams(StreamTests):
    """Stream events."""


class TestTransactions(TransactionTests):
    """Transactions."""


class TestUpdates(UpdateTests):
    """Updates."""


class TestWorkflows(WorkflowTests):
    """Workflows."""
