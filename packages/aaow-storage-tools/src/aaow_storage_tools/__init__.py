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
    from aaow_storage_tools._copying.comparing import compare_stores
    from aaow_storage_tools._copying.copying import CopyResult, copy_store
    from aaow_storage_tools._copying.differences import Comparison, Difference, Mismatch
    from aaow_storage_tools._errors import (
        AlreadyRunningError,
        AlreadyThereError,
        InvalidArchiveError,
        NotEmptyError,
        ResumableError,
        ToolError,
        UnsupportedByBackendError,
    )
    from aaow_storage_tools._progress import Progress, ProgressCallback

__all__ = [
    "AlreadyRunningError",
    "AlreadyThereError",
    "BackupReport",
    "Comparison",
    "CopyResult",
    "Difference",
    "ExportResult",
    "ImportResult",
    "InvalidArchiveError",
    "LeftOut",
    "Mismatch",
    "NotEmptyError",
    "Progress",
    "ProgressCallback",
    "RestoreReport",
    "ResumableError",
    "ToolError",
    "UnsupportedByBackendError",
    "UpgradeReport",
    "VerifyReport",
    "backup_store",
    "compare_stores",
    "copy_store",
    "export_store",
    "import_store",
    "restore_store",
    "upgrade_store",
    "verify_backup",
]

_MODULES: dict[str, str] = {
    "AlreadyRunningError": "aaow_storage_tools._errors",
    "AlreadyThereError": "aaow_storage_tools._errors",
    "BackupReport": "aaow_storage_tools._backups.backing_up",
    "Comparison": "aaow_storage_tools._copying.differences",
    "CopyResult": "aaow_storage_tools._copying.copying",
    "Difference": "aaow_storage_tools._copying.differences",
    "ExportResult": "aaow_storage_tools._archives.exporting",
    "ImportResult": "aaow_storage_tools._archives.importing",
    "InvalidArchiveError": "aaow_storage_tools._errors",
    "LeftOut": "aaow_storage_tools._archives.validating",
    "Mismatch": "aaow_storage_tools._copying.differences",
    "NotEmptyError": "aaow_storage_tools._errors",
    "Progress": "aaow_storage_tools._progress",
    "ProgressCallback": "aaow_storage_tools._progress",
    "RestoreReport": "aaow_storage_tools._backups.restoring",
    "ResumableError": "aaow_storage_tools._errors",
    "ToolError": "aaow_storage_tools._errors",
    "UnsupportedByBackendError": "aaow_storage_tools._errors",
    "UpgradeReport": "aaow_storage_tools._backups.upgrading",
    "VerifyReport": "aaow_storage_tools._backups.verifying",
    "backup_store": "aaow_storage_tools._backups.backing_up",
    "compare_stores": "aaow_storage_tools._copying.comparing",
    "copy_store": "aaow_storage_tools._copying.copying",
    "export_store": "aaow_storage_tools._archives.exporting",
    "import_store": "aaow_storage_tools._archives.importing",
    "restore_store": "aaow_storage_tools._backups.restoring",
    "upgrade_store": "aaow_storage_tools._backups.upgrading",
    "verify_backup": "aaow_storage_tools._backups.verifying",
}
"""The module of each public name; importing this package imports none of them, so that the command line starts fast."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
