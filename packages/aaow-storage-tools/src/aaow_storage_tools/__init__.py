"""The jobs of the command line `aaow-storage`, as functions: each is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaow_storage_tools._backups.backing_up import BackupReport, backup_store
    from aaow_storage_tools._backups.restoring import RestoreReport, restore_store
    from aaow_storage_tools._backups.upgrading import UpgradeReport, upgrade_store
    from aaow_storage_tools._backups.verifying import VerifyReport, verify_backup

__all__ = [
    "BackupReport",
    "RestoreReport",
    "UpgradeReport",
    "VerifyReport",
    "backup_store",
    "restore_store",
    "upgrade_store",
    "verify_backup",
]

_MODULES: dict[str, str] = {
    "BackupReport": "aaow_storage_tools._backups.backing_up",
    "RestoreReport": "aaow_storage_tools._backups.restoring",
    "UpgradeReport": "aaow_storage_tools._backups.upgrading",
    "VerifyReport": "aaow_storage_tools._backups.verifying",
    "backup_store": "aaow_storage_tools._backups.backing_up",
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
