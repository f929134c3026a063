"""The pytest suite that an aaow-storage backend has to pass: one class of tests an area, to run or to subclass."""

from aaow_storage_conformance import _rewriting  # isort: skip  # noqa: F401 - has to come before what it rewrites
from aaow_storage_conformance._approvals import ApprovalTests
from aaow_storage_conformance._atomicity import AtomicityTests
from aaow_storage_conformance._blocks import BlockTests
from aaow_storage_conformance._budgets import BudgetTests
from aaow_storage_conformance._cancellation import CancellationTests
from aaow_storage_conformance._clauses import (
    CLAUSES,
    CONTRACT_VERSION,
    Clause,
    Level,
    clause,
    lacks,
    registry_digest,
    requires,
)
from aaow_storage_conformance._closing import ClosingTests
from aaow_storage_conformance._combinations import CombinationTests
from aaow_storage_conformance._concurrency import ConcurrencyTests
from aaow_storage_conformance._differential import DifferentialTests
from aaow_storage_conformance._documents import DocumentTests
from aaow_storage_conformance._durability import DurabilityTests
from aaow_storage_conformance._endings import EndingTests
from aaow_storage_conformance._errors import ErrorTests
from aaow_storage_conformance._executions import ExecutionTests
from aaow_storage_conformance._handles import HandleTests
from aaow_storage_conformance._handling import HandlingTests
from aaow_storage_conformance._holders import HolderTests
from aaow_storage_conformance._isolation import IsolationTests
from aaow_storage_conformance._leaving import LeavingTests
from aaow_storage_conformance._lifecycle import LifecycleTests
from aaow_storage_conformance._model import ModelTests
from aaow_storage_conformance._nesting import NestingTests
from aaow_storage_conformance._numbers import NumberTests
from aaow_storage_conformance._omissions import OmissionTests
from aaow_storage_conformance._operations import OperationTests
from aaow_storage_conformance._paging import PagingTests
from aaow_storage_conformance._plain_values import PlainValueTests
from aaow_storage_conformance._queries import QueryTests
from aaow_storage_conformance._races import RaceTests
from aaow_storage_conformance._records import RecordTests
from aaow_storage_conformance._resemblances import ResemblanceTests
from aaow_storage_conformance._returns import ReturnTests
from aaow_storage_conformance._schemas import SchemaTests
from aaow_storage_conformance._sequences import SequenceTests
from aaow_storage_conformance._sessions import SessionTests
from aaow_storage_conformance._sharing import SharingTests
from aaow_storage_conformance._side_effects import SideEffectTests
from aaow_storage_conformance._sizes import FilterSizeTests
from aaow_storage_conformance._snapshots import SnapshotTests
from aaow_storage_conformance._states import StateTests
from aaow_storage_conformance._stores import Store
from aaow_storage_conformance._streams import StreamTests
from aaow_storage_conformance._transactions import TransactionTests
from aaow_storage_conformance._updates import UpdateTests
from aaow_storage_conformance._workflows import WorkflowTests

__all__ = [
    "CLAUSES",
    "CONTRACT_VERSION",
    "ApprovalTests",
    "AtomicityTests",
    "BlockTests",
    "BudgetTests",
    "CancellationTests",
    "Clause",
    "ClosingTests",
    "CombinationTests",
    "ConcurrencyTests",
    "DifferentialTests",
    "DocumentTests",
    "DurabilityTests",
    "EndingTests",
    "ErrorTests",
    "ExecutionTests",
    "FilterSizeTests",
    "HandleTests",
    "HandlingTests",
    "HolderTests",
    "IsolationTests",
    "LeavingTests",
    "Level",
    "LifecycleTests",
    "ModelTests",
    "NestingTests",
    "NumberTests",
    "OmissionTests",
    "OperationTests",
    "PagingTests",
    "PlainValueTests",
    "QueryTests",
    "RaceTests",
    "RecordTests",
    "ResemblanceTests",
    "ReturnTests",
    "SchemaTests",
    "SequenceTests",
    "SessionTests",
    "SharingTests",
    "SideEffectTests",
    "SnapshotTests",
    "StateTests",
    "Store",
    "StreamTests",
    "TransactionTests",
    "UpdateTests",
    "WorkflowTests",
    "clause",
    "lacks",
    "registry_digest",
    "requires",
]
