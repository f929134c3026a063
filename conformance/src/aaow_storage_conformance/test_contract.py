"""The whole suite, for `pytest --pyargs aaow_storage_conformance --storage-backend=NAME`."""

from aaow_storage_conformance import (
    ApprovalTests,
    AtomicityTests,
    BudgetTests,
    CancellationTests,
    ClosingTests,
    ConcurrencyTests,
    DifferentialTests,
    DocumentTests,
    DurabilityTests,
    ErrorTests,
    ExecutionTests,
    HolderTests,
    IsolationTests,
    LeavingTests,
    LifecycleTests,
    ModelTests,
    OmissionTests,
    OperationTests,
    PagingTests,
    QueryTests,
    RecordTests,
    SessionTests,
    SharingTests,
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


class TestBudgets(BudgetTests):
    """Budget pools."""


class TestCancellation(CancellationTests):
    """Cancelled tasks."""


class TestClosing(ClosingTests):
    """Closing."""


class TestConcurrency(ConcurrencyTests):
    """Many at once."""


class TestDifferential(DifferentialTests):
    """Random filters."""


class TestDocuments(DocumentTests):
    """The JSON inside records."""


class TestDurability(DurabilityTests):
    """After a kill."""


class TestErrors(ErrorTests):
    """Errors."""


class TestExecutions(ExecutionTests):
    """LLM executions and tool calls."""


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


class TestOmissions(OmissionTests):
    """Lists without documents."""


class TestOperations(OperationTests):
    """The verbs."""


class TestPaging(PagingTests):
    """Orders and pages."""


class TestQueries(QueryTests):
    """Filters."""


class TestRecords(RecordTests):
    """Records."""


class TestSessions(SessionTests):
    """Sessions."""


class TestSharing(SharingTests):
    """Equal documents of different records."""


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
