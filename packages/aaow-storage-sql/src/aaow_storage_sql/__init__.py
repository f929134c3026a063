"""What SQL backends share: the tables, the operations, and the parts that a dialect fills in."""

from aaow_storage_sql._adapter import SQLStorageAdapter, SQLTransaction
from aaow_storage_sql._operation import NOT_DONE, Attempt, Lookup, Work
from aaow_storage_sql._schema.tables import REVISIONS, VERSION_TABLE, metadata, table_of
from aaow_storage_sql._schema.types import AsIs
from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters, Row, compiler
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._threads.executor import Executor, ExecutorTransaction, ThreadedExecutor
from aaow_storage_sql._threads.gil_yield import waiting_on
from aaow_storage_sql._threads.interactive_transaction import LentTransaction, roll_back, undone_alone
from aaow_storage_sql._threads.job import Job, Outcome, deliver
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._threads.thread import ended, started
from aaow_storage_sql._threads.work_queue import Inbox
from aaow_storage_sql._upgrade import LATEST, migrate_to, migration_is_due, stored_version

__all__ = [
    "LATEST",
    "NOT_DONE",
    "REVISIONS",
    "VERSION_TABLE",
    "AsIs",
    "Attempt",
    "CompiledStatement",
    "Dialect",
    "Executor",
    "ExecutorTransaction",
    "Inbox",
    "Job",
    "LentTransaction",
    "Lookup",
    "Opening",
    "Outcome",
    "Parameters",
    "Row",
    "SQLConnection",
    "SQLStorageAdapter",
    "SQLTransaction",
    "ThreadedExecutor",
    "Work",
    "compiler",
    "deliver",
    "ended",
    "metadata",
    "migrate_to",
    "migration_is_due",
    "roll_back",
    "started",
    "stored_version",
    "table_of",
    "undone_alone",
    "waiting_on",
]
