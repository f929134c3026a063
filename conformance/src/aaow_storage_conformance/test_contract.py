"""The whole suite, for `pytest --pyargs aaow_storage_conformance --storage-backend=NAME`."""

from aaow_storage_conformance import WorkflowTests


class TestWorkflows(WorkflowTests):
    """Workflows."""
