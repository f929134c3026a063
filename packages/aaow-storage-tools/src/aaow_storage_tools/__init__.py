"""The jobs of the command line `aaow-storage`, as functions: each is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaow_storage_tools._archives.exporting import ExportResult, export_store
    from aaow_storage_tools._archives.importing import ImportResult, import_store
    from aaow_storage_tools._archives.validating import LeftOut
    from aaow_storage_tools._backups.backing_up import BackupReport, backup_store
    from aaow_storage_tools._backups.restoring import RestoreReport, restore_store
    from aaow_storage_tools._backups.upgrading import UpgradeReport, upgrade_store
    from aaow_storage_tools._backups.verifying import VerifyReport, verify_backup
    from aaow_storage_tools._checking.check import check_store
    from aaow_storage_tools._checking.findings import CheckReport, Finding, Problem
    from aaow_storage_tools._copying.comparing import compare_stores
    from aaow_storage_tools._copying.copying import CopyResult, copy_store
    from aaow_storage_tools._copying.differences import Comparison, Difference, Mismatch
    from aaow_storage_tools._erasing.erase import erase
    from aaow_storage_tools._erasing.receipts import InvalidReceiptError, Receipt, read_receipt
    from aaow_storage_tools._erasing.verify import Leftover, verify_receipt
    from aaow_storage_tools._errors import (
        AlreadyRunningError,
        AlreadyThereError,
        InvalidArchiveError,
        InvalidBackupError,
        InvalidManifestError,
        NotEmptyError,
        ResumableError,
        ToolError,
        UnreadableFileError,
        UnsupportedByBackendError,
    )
    from aaow_storage_tools._looking.budget_view import BudgetView, PoolView, view_budget
    from aaow_storage_tools._looking.description import KindCount, StoreDescription, describe_contents, describe_store
    from aaow_storage_tools._looking.following import FollowedChange, follow_changes
    from aaow_storage_tools._looking.query_language import QueryError, parse_order, parse_query
    from aaow_storage_tools._looking.session_view import NodeView, SessionView, view_session
    from aaow_storage_tools._looking.usage import Usage, usage_of
    from aaow_storage_tools._progress import Progress, ProgressCallback
    from aaow_storage_tools._pruning.policy import PrunePolicy, PruneRule, read_policy
    from aaow_storage_tools._pruning.prune import PruneReport, prune
    from aaow_storage_tools._scaffolding.new_backend import NewBackendReport, new_backend

__all__ = [
    "AlreadyRunningError",
    "AlreadyThereError",
    "BackupReport",
    "BudgetView",
    "CheckReport",
    "Comparison",
    "CopyResult",
    "Difference",
    "ExportResult",
    "Finding",
    "FollowedChange",
    "ImportResult",
    "InvalidArchiveError",
    "InvalidBackupError",
    "InvalidManifestError",
    "InvalidReceiptError",
    "KindCount",
    "LeftOut",
    "Leftover",
    "Mismatch",
    "NewBackendReport",
    "NodeView",
    "NotEmptyError",
    "PoolView",
    "Problem",
    "Progress",
    "ProgressCallback",
    "PrunePolicy",
    "PruneReport",
    "PruneRule",
    "QueryError",
    "Receipt",
    "RestoreReport",
    "ResumableError",
    "SessionView",
    "StoreDescription",
    "ToolError",
    "UnreadableFileError",
    "UnsupportedByBackendError",
    "UpgradeReport",
    "Usage",
    "VerifyReport",
    "backup_store",
    "check_store",
    "compare_stores",
    "copy_store",
    "describe_contents",
    "describe_store",
    "erase",
    "export_store",
    "follow_changes",
    "import_store",
    "new_backend",
    "parse_order",
    "parse_query",
    "prune",
    "read_policy",
    "read_receipt",
    "restore_store",
    "upgrade_store",
    "usage_of",
    "verify_backup",
    "verify_receipt",
    "view_budget",
    "view_session",
]

_MODULES: dict[str, str] = {
    "AlreadyRunningError": "aaow_storage_tools._errors",
    "AlreadyThereError": "aaow_storage_tools._errors",
    "BackupReport": "aaow_storage_tools._backups.backing_up",
    "BudgetView": "aaow_storage_tools._looking.budget_view",
    "CheckReport": "aaow_storage_tools._checking.findings",
    "Comparison": "aaow_storage_tools._copying.differences",
    "CopyResult": "aaow_storage_tools._copying.copying",
    "Difference": "aaow_storage_tools._copying.differences",
    "ExportResult": "aaow_storage_tools._archives.exporting",
    "Finding": "aaow_storage_tools._checking.findings",
    "FollowedChange": "aaow_storage_tools._looking.following",
    "ImportResult": "aaow_storage_tools._archives.importing",
    "InvalidArchiveError": "aaow_storage_tools._errors",
    "InvalidBackupError": "aaow_storage_tools._errors",
    "InvalidManifestError": "aaow_storage_tools._errors",
    "InvalidReceiptError": "aaow_storage_tools._erasing.receipts",
    "KindCount": "aaow_storage_tools._looking.description",
    "LeftOut": "aaow_storage_tools._archives.validating",
    "Leftover": "aaow_storage_tools._erasing.verify",
    "Mismatch": "aaow_storage_tools._copying.differences",
    "NewBackendReport": "aaow_storage_tools._scaffolding.new_backend",
    "NodeView": "aaow_storage_tools._looking.session_view",
    "NotEmptyError": "aaow_storage_tools._errors",
    "PoolView": "aaow_storage_tools._looking.budget_view",
    "Problem": "aaow_storage_tools._checking.findings",
    "Progress": "aaow_storage_tools._progress",
    "ProgressCallback": "aaow_storage_tools._progress",
    "PrunePolicy": "aaow_storage_tools._pruning.policy",
    "PruneReport": "aaow_storage_tools._pruning.prune",
    "PruneRule": "aaow_storage_tools._pruning.policy",
    "QueryError": "aaow_storage_tools._looking.query_language",
    "Receipt": "aaow_storage_tools._erasing.receipts",
    "RestoreReport": "aaow_storage_tools._backups.restoring",
    "ResumableError": "aaow_storage_tools._errors",
    "SessionView": "aaow_storage_tools._looking.session_view",
    "StoreDescription": "aaow_storage_tools._looking.description",
    "ToolError": "aaow_storage_tools._errors",
    "UnreadableFileError": "aaow_storage_tools._errors",
    "UnsupportedByBackendError": "aaow_storage_tools._errors",
    "UpgradeReport": "aaow_storage_tools._backups.upgrading",
    "Usage": "aaow_storage_tools._looking.usage",
    "VerifyReport": "aaow_storage_tools._backups.verifying",
    "backup_store": "aaow_storage_tools._backups.backing_up",
    "check_store": "aaow_storage_tools._checking.check",
    "compare_stores": "aaow_storage_tools._copying.comparing",
    "copy_store": "aaow_storage_tools._copying.copying",
    "describe_contents": "aaow_storage_tools._looking.description",
    "describe_store": "aaow_storage_tools._looking.description",
    "erase": "aaow_storage_tools._erasing.erase",
    "export_store": "aaow_storage_tools._archives.exporting",
    "follow_changes": "aaow_storage_tools._looking.following",
    "import_store": "aaow_storage_tools._archives.importing",
    "new_backend": "aaow_storage_tools._scaffolding.new_backend",
    "parse_order": "aaow_storage_tools._looking.query_language",
    "parse_query": "aaow_storage_tools._looking.query_language",
    "prune": "aaow_storage_tools._pruning.prune",
    "read_policy": "aaow_storage_tools._pruning.policy",
    "read_receipt": "aaow_storage_tools._erasing.receipts",
    "restore_store": "aaow_storage_tools._backups.restoring",
    "upgrade_store": "aaow_storage_tools._backups.upgrading",
    "usage_of": "aaow_storage_tools._looking.usage",
    "verify_backup": "aaow_storage_tools._backups.verifying",
    "verify_receipt": "aaow_storage_tools._erasing.verify",
    "view_budget": "aaow_storage_tools._looking.budget_view",
    "view_session": "aaow_storage_tools._looking.session_view",
}
"""The module of each public name; importing this package imports none of them, so that the command line starts fast."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
