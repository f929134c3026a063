"""What SQL backends share: the tables, the operations, and the parts that a dialect fills in.

Names of modules that only an open store needs, some of which import SQLAlchemy, are resolved when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aaow_storage_sql._adapter import SQLStorageAdapter, SQLTransaction
from aaow_storage_sql._late_imports import (
    LateModule,
    import_late,
    import_migrations,
    import_repositories,
    import_writing,
    wait_for_imports,
)
from aaow_storage_sql._operation import FALL_BACK, Call, FallBack, Lookup, Operation, Work, operation
from aaow_storage_sql._servers.executor import ServerExecutor
from aaow_storage_sql._servers.settings import ServerSettings
from aaow_storage_sql._servers.tuning import ServerTuning
from aaow_storage_sql._threads.executor import Executor, ExecutorTransaction
from aaow_storage_sql._threads.gil_yield import count_waiting
from aaow_storage_sql._threads.interactive_transaction import InteractiveTransaction, roll_back, run_in_savepoint
from aaow_storage_sql._threads.job import Job, Outcome, deliver
from aaow_storage_sql._threads.opening import Opening
from aaow_storage_sql._threads.thread import start_thread, thread_ended_error
from aaow_storage_sql._threads.threaded_executor import ThreadedExecutor
from aaow_storage_sql._threads.work_queue import WorkQueue
from aaow_storage_sql._tuning import Tuning

if TYPE_CHECKING:
    from aaow_storage_sql._maintenance import (
        Nothing,
        PlanningConnection,
        ThreadedMaintenance,
        plan_upgrade,
        schema_status_of,
    )
    from aaow_storage_sql._migrations.migration_lock import LostLockError, MigrationLock, RowLease
    from aaow_storage_sql._new_files import new_file
    from aaow_storage_sql._record_maintenance import RecordMaintenance
    from aaow_storage_sql._schema.change_triggers import TRIGGERS
    from aaow_storage_sql._schema.commit_marks import commit_marks
    from aaow_storage_sql._schema.families import NativeType
    from aaow_storage_sql._schema.revisions import HEAD, REVISIONS, VERSION_TABLE
    from aaow_storage_sql._schema.tables import metadata, table_of
    from aaow_storage_sql._servers.commit_marks import remove_old_marks
    from aaow_storage_sql._servers.connection import NoAnswerError, ServerConnection
    from aaow_storage_sql._servers.deadlines import Watchdog
    from aaow_storage_sql._servers.dialect import ServerDialect
    from aaow_storage_sql._servers.error_table import ErrorTable
    from aaow_storage_sql._servers.in_doubt import LOST_IN_COMMIT, READ_THE_RECORDS, CommitQuestion, InDoubtError
    from aaow_storage_sql._servers.meanings import Meaning
    from aaow_storage_sql._servers.opening import open_connection
    from aaow_storage_sql._servers.point_reads import PointRead
    from aaow_storage_sql._servers.recording import set_recording
    from aaow_storage_sql._servers.server import PreparedStore, Server
    from aaow_storage_sql._statements.compiled import CompiledStatement, Parameters, Row, make_compiler
    from aaow_storage_sql._statements.connection import SQLConnection
    from aaow_storage_sql._statements.dialect import Dialect, FeedOrder
    from aaow_storage_sql._statements.recorder import ChangeRecorder, ReplacedRows
    from aaow_storage_sql._stepwise_upgrade import plan_steps, stored_version, upgrade_in_steps
    from aaow_storage_sql._upgrade import migrate_to, needs_upgrade, refuse_foreign_tables

__all__ = [
    "FALL_BACK",
    "HEAD",
    "LOST_IN_COMMIT",
    "READ_THE_RECORDS",
    "REVISIONS",
    "TRIGGERS",
    "VERSION_TABLE",
    "Call",
    "ChangeRecorder",
    "CommitQuestion",
    "CompiledStatement",
    "Dialect",
    "ErrorTable",
    "Executor",
    "ExecutorTransaction",
    "FallBack",
    "FeedOrder",
    "InDoubtError",
    "InteractiveTransaction",
    "Job",
    "LateModule",
    "Lookup",
    "LostLockError",
    "Meaning",
    "MigrationLock",
    "NativeType",
    "NoAnswerError",
    "Nothing",
    "Opening",
    "Operation",
    "Outcome",
    "Parameters",
    "PlanningConnection",
    "PointRead",
    "PreparedStore",
    "RecordMaintenance",
    "ReplacedRows",
    "Row",
    "RowLease",
    "SQLConnection",
    "SQLStorageAdapter",
    "SQLTransaction",
    "Server",
    "ServerConnection",
    "ServerDialect",
    "ServerExecutor",
    "ServerSettings",
    "ServerTuning",
    "ThreadedExecutor",
    "ThreadedMaintenance",
    "Tuning",
    "Watchdog",
    "Work",
    "WorkQueue",
    "commit_marks",
    "count_waiting",
    "deliver",
    "import_late",
    "import_migrations",
    "import_repositories",
    "import_writing",
    "make_compiler",
    "metadata",
    "migrate_to",
    "needs_upgrade",
    "new_file",
    "open_connection",
    "operation",
    "plan_steps",
    "plan_upgrade",
    "refuse_foreign_tables",
    "remove_old_marks",
    "roll_back",
    "run_in_savepoint",
    "schema_status_of",
    "set_recording",
    "start_thread",
    "stored_version",
    "table_of",
    "thread_ended_error",
    "upgrade_in_steps",
    "wait_for_imports",
]

_LATE = {
    "LostLockError": "_migrations.migration_lock",
    "MigrationLock": "_migrations.migration_lock",
    "RowLease": "_migrations.migration_lock",
    "plan_steps": "_stepwise_upgrade",
    "stored_version": "_stepwise_upgrade",
    "upgrade_in_steps": "_stepwise_upgrade",
    "Nothing": "_maintenance",
    "PlanningConnection": "_maintenance",
    "ThreadedMaintenance": "_maintenance",
    "new_file": "_new_files",
    "plan_upgrade": "_maintenance",
    "schema_status_of": "_maintenance",
    "RecordMaintenance": "_record_maintenance",
    "HEAD": "_schema.revisions",
    "REVISIONS": "_schema.revisions",
    "TRIGGERS": "_schema.change_triggers",
    "VERSION_TABLE": "_schema.revisions",
    "metadata": "_schema.tables",
    "table_of": "_schema.tables",
    "NativeType": "_schema.families",
    "commit_marks": "_schema.commit_marks",
    "remove_old_marks": "_servers.commit_marks",
    "NoAnswerError": "_servers.connection",
    "ServerConnection": "_servers.connection",
    "Watchdog": "_servers.deadlines",
    "ServerDialect": "_servers.dialect",
    "ErrorTable": "_servers.error_table",
    "LOST_IN_COMMIT": "_servers.in_doubt",
    "READ_THE_RECORDS": "_servers.in_doubt",
    "CommitQuestion": "_servers.in_doubt",
    "InDoubtError": "_servers.in_doubt",
    "Meaning": "_servers.meanings",
    "open_connection": "_servers.opening",
    "PointRead": "_servers.point_reads",
    "set_recording": "_servers.recording",
    "PreparedStore": "_servers.server",
    "Server": "_servers.server",
    "CompiledStatement": "_statements.compiled",
    "Parameters": "_statements.compiled",
    "Row": "_statements.compiled",
    "make_compiler": "_statements.compiled",
    "SQLConnection": "_statements.connection",
    "Dialect": "_statements.dialect",
    "FeedOrder": "_statements.dialect",
    "ChangeRecorder": "_statements.recorder",
    "ReplacedRows": "_statements.recorder",
    "migrate_to": "_upgrade",
    "needs_upgrade": "_upgrade",
    "refuse_foreign_tables": "_upgrade",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
