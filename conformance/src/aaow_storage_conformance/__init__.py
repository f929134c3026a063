"""The conformance suite of the storage contract: classes of tests that a backend runs or subclasses."""

from aaow_storage_conformance import _rewriting  # isort: skip  # noqa: F401 - must precede what it rewrites
from aaow_storage_conformance._contract import (
    CLAUSES,
    CONTRACT_VERSION,
    Clause,
    Level,
    clause,
    lacks,
    registry_digest,
    requires,
)
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.suite.amounts import AmountTests
from aaow_storage_conformance.suite.approvals import ApprovalTests
from aaow_storage_conformance.suite.atomicity import AtomicityTests
from aaow_storage_conformance.suite.blocks import BlockTests
from aaow_storage_conformance.suite.budgets import BudgetTests
from aaow_storage_conformance.suite.cancellation import CancellationTests
from aaow_storage_conformance.suite.change_readers import ChangeReaderTests
from aaow_storage_conformance.suite.closing import ClosingTests
from aaow_storage_conformance.suite.combinations import CombinationTests
from aaow_storage_conformance.suite.concurrency import ConcurrencyTests
from aaow_storage_conformance.suite.conditional_updates import ConditionalUpdateTests
from aaow_storage_conformance.suite.crosswise import CrosswiseTests
from aaow_storage_conformance.suite.cursors import CursorTests
from aaow_storage_conformance.suite.differential import DifferentialTests
from aaow_storage_conformance.suite.documents import DocumentTests
from aaow_storage_conformance.suite.durability import DurabilityTests
from aaow_storage_conformance.suite.endings import EndingTests
from aaow_storage_conformance.suite.errors import ErrorTests
from aaow_storage_conformance.suite.executions import ExecutionTests
from aaow_storage_conformance.suite.filter_sizes import FilterSizeTests
from aaow_storage_conformance.suite.following import FollowingTests
from aaow_storage_conformance.suite.handles import HandleTests
from aaow_storage_conformance.suite.handling import HandlingTests
from aaow_storage_conformance.suite.holders import HolderTests
from aaow_storage_conformance.suite.inputs import InputTests
from aaow_storage_conformance.suite.isolation import IsolationTests
from aaow_storage_conformance.suite.leaving import LeavingTests
from aaow_storage_conformance.suite.lifecycle import LifecycleTests
from aaow_storage_conformance.suite.long_lists import LongListTests
from aaow_storage_conformance.suite.losing import LosingTests
from aaow_storage_conformance.suite.lost_changes import LostChangeTests, UnsupportedChangeTests
from aaow_storage_conformance.suite.maintenance import MaintenanceTests
from aaow_storage_conformance.suite.model import ModelTests
from aaow_storage_conformance.suite.nesting import NestingTests
from aaow_storage_conformance.suite.numbers import NumberTests
from aaow_storage_conformance.suite.observability import ObservabilityTests
from aaow_storage_conformance.suite.omissions import OmissionTests
from aaow_storage_conformance.suite.operations import OperationTests
from aaow_storage_conformance.suite.operators import OperatorTests
from aaow_storage_conformance.suite.paging import PagingTests
from aaow_storage_conformance.suite.patches import PatchTests
from aaow_storage_conformance.suite.plain_values import PlainValueTests
from aaow_storage_conformance.suite.queries import QueryTests
from aaow_storage_conformance.suite.races import RaceTests
from aaow_storage_conformance.suite.recorded_changes import RecordedChangeTests
from aaow_storage_conformance.suite.records import RecordTests
from aaow_storage_conformance.suite.resemblances import ResemblanceTests
from aaow_storage_conformance.suite.retryability import RetryabilityTests
from aaow_storage_conformance.suite.returns import ReturnTests
from aaow_storage_conformance.suite.schemas import SchemaTests
from aaow_storage_conformance.suite.sequences import SequenceTests
from aaow_storage_conformance.suite.session_status import SessionStatusTests
from aaow_storage_conformance.suite.sessions import SessionTests
from aaow_storage_conformance.suite.sharing import SharingTests
from aaow_storage_conformance.suite.side_effects import SideEffectTests
from aaow_storage_conformance.suite.snapshots import SnapshotTests
from aaow_storage_conformance.suite.states import StateTests
from aaow_storage_conformance.suite.store_wide import StoreWideTests
from aaow_storage_conformance.suite.stored_streams import StoredStreamTests
from aaow_storage_conformance.suite.stream_order import StreamOrderTests
from aaow_storage_conformance.suite.streams import StreamTests
from aaow_storage_conformance.suite.transacting import TransactTests
from aaow_storage_conformance.suite.transactions import TransactionTests
from aaow_storage_conformance.suite.updates import UpdateTests
from aaow_storage_conformance.suite.usage import UsageTests
from aaow_storage_conformance.suite.waiting import WaitingTests
from aaow_storage_conformance.suite.workflows import WorkflowTests

__all__ = [
    "CLAUSES",
    "CONTRACT_VERSION",
    "AmountTests",
    "ApprovalTests",
    "AtomicityTests",
    "BlockTests",
    "BudgetTests",
    "CancellationTests",
    "ChangeReaderTests",
    "Clause",
    "ClosingTests",
    "CombinationTests",
    "ConcurrencyTests",
    "ConditionalUpdateTests",
    "CrosswiseTests",
    "CursorTests",
    "DifferentialTests",
    "DocumentTests",
    "DurabilityTests",
    "EndingTests",
    "ErrorTests",
    "ExecutionTests",
    "FilterSizeTests",
    "FollowingTests",
    "HandleTests",
    "HandlingTests",
    "HolderTests",
    "InputTests",
    "IsolationTests",
    "LeavingTests",
    "Level",
    "LifecycleTests",
    "LongListTests",
    "LosingTests",
    "LostChangeTests",
    "MaintenanceTests",
    "ModelTests",
    "NestingTests",
    "NumberTests",
    "ObservabilityTests",
    "OmissionTests",
    "OperationTests",
    "OperatorTests",
    "PagingTests",
    "PatchTests",
    "PlainValueTests",
    "QueryTests",
    "RaceTests",
    "RecordTests",
    "RecordedChangeTests",
    "ResemblanceTests",
    "RetryabilityTests",
    "ReturnTests",
    "SchemaTests",
    "SequenceTests",
    "SessionStatusTests",
    "SessionTests",
    "SharingTests",
    "SideEffectTests",
    "SnapshotTests",
    "StateTests",
    "Store",
    "StoreWideTests",
    "StoredStreamTests",
    "StreamOrderTests",
    "StreamTests",
    "TransactTests",
    "TransactionTests",
    "UnsupportedChangeTests",
    "UpdateTests",
    "UsageTests",
    "WaitingTests",
    "WorkflowTests",
    "clause",
    "lacks",
    "registry_digest",
    "requires",
]
