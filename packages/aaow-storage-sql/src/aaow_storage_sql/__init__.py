"""What SQL backends share: the tables, the operations, and the parts that a dialect fills in."""

from aaow_storage_sql._adapter import SQLStorageAdapter, SQLTransaction
from aaow_storage_sql._attempts import NOT_DONE, Attempt
from aaow_storage_sql._connection import CompiledStatement, Parameters, Row, SQLConnection, compiler
from aaow_storage_sql._dialect import Dialect
from aaow_storage_sql._endings import ended, started
from aaow_storage_sql._executor import Executor, ExecutorTransaction, ThreadedExecutor, Work
from aaow_storage_sql._jobs import Inbox, Job, Outcome, deliver
from aaow_storage_sql._lending import LentTransaction, roll_back, undone_alone
from aaow_storage_sql._lookups import Lookup
from aaow_storage_sql._migration import LATEST, migrate_to, migration_is_due, stored_version
from aaow_storage_sql._opening import Opening
from aaow_storage_sql._schema import REVISIONS, VERSION_TABLE, metadata, table_of
from aaow_storage_sql._types import AsIs
from aaow_storage_sql._yielding import waiting_on

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
