"""The pytest suite that an aaow-storage backend has to pass: one class of tests an area, to run or to subclass."""

from aaow_storage_conformance import _rewriting  # isort: skip  # noqa: F401 - has to come before what it rewrites
from aaow_storage_conformance._clauses import CLAUSES, Clause, clause, lacks, requires
from aaow_storage_conformance._stores import Store
from aaow_storage_conformance._workflows import WorkflowTests

__all__ = [
    "CLAUSES",
    "Clause",
    "Store",
    "WorkflowTests",
    "clause",
    "lacks",
    "requires",
]
