"""The whole suite, for `pytest --pyargs aaow_storage_conformance --storage-backend=NAME`."""

from aaow_storage_conformance import (
    AtomicityTests,
    DocumentTests,
    ExecutionTests,
    OperationTests,
    RecordTests,
    SessionTests,
    StateTests,
    UpdateTests,
    WorkflowTests,
)


class TestAtomicity(AtomicityTests):
    """Atomic and committed."""


class TestDocuments(DocumentTests):
    """The JSON inside records."""


class TestExecutions(ExecutionTests):
    """LLM executions and tool calls."""


class TestOperations(OperationTests):
    """The verbs."""


class TestRecords(RecordTests):
    """Records."""


class TestSessions(SessionTests):
    """Sessions."""


class TestStates(StateTests):
    """Execution states."""


class TestUpdates(UpdateTests):
    """Updates."""


class TestWorkflows(WorkflowTests):
    """Workflows."""
