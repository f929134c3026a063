"""The jobs of the command line `aaow-storage`, as functions: each is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaow_storage_tools._backups.backing_up import BackupReport, backup_store
    from aaow_storage_tools._backups.restoring import RestoreReport, restore_store
    from aaow_storage_tools._backups.upgrading import UpgradeReport, upgrade_store
    from aaow_storage_tools._backups.verifying import VerifyReport, verify_backup
    from aaow_storage_tools._looking.budget_view import BudgetView, PoolView, view_budget
    from aaow_storage_tools._looking.description import KindCount, StoreDescription, describe_contents, describe_store
    from aaow_storage_tools._looking.following import FollowedChange, follow_changes
    from aaow_storage_tools._looking.query_language import QueryError, parse_order, parse_query
    from aaow_storage_tools._looking.session_view import NodeView, SessionView, view_session
    from aaow_storage_tools._looking.usage import Usage, usage_of

__all__ = [
    "BackupReport",
    "BudgetView",
    "FollowedChange",
    "KindCount",
    "NodeView",
    "PoolView",
    "QueryError",
    "RestoreReport",
    "SessionView",
    "StoreDescription",
    "UpgradeReport",
    "Usage",
    "VerifyReport",
    "backup_store",
    "describe_contents",
    "describe_store",
    "follow_changes",
    "parse_order",
    "parse_query",
    "restore_store",
    "upgrade_store",
    "usage_of",
    "verify_backup",
    "view_budget",
    "view_session",
]

_MODULES: dict[str, str] = {
    "BackupReport": "aaow_storage_tools._backups.backing_up",
    "BudgetView": "aaow_storage_tools._looking.budget_view",
    "FollowedChange": "aaow_storage_tools._looking.following",
    "KindCount": "aaow_storage_tools._looking.description",
    "NodeView": "aaow_storage_tools._looking.session_view",
    "PoolView": "aaow_storage_tools._looking.budget_view",
    "QueryError": "aaow_storage_tools._looking.query_language",
    "RestoreReport": "aaow_storage_tools._backups.restoring",
    "SessionView": "aaow_storage_tools._looking.session_view",
    "StoreDescription": "aaow_storage_tools._looking.description",
    "UpgradeReport": "aaow_storage_tools._backups.upgrading",
    "Usage": "aaow_storage_tools._looking.usage",
    "VerifyReport": "aaow_storage_tools._backups.verifying",
    "backup_store": "aaow_storage_tools._backups.backing_up",
    "describe_contents": "aaow_storage_tools._looking.description",
    "describe_store": "aaow_storage_tools._looking.description",
    "follow_changes": "aaow_storage_tools._looking.following",
    "parse_order": "aaow_storage_tools._looking.query_language",
    "parse_query": "aaow_storage_tools._looking.query_language",
    "restore_store": "aaow_storage_tools._backups.restoring",
    "upgrade_store": "aaow_storage_tools._backups.upgrading",
    "usage_of": "aaow_storage_tools._looking.usage",
    "verify_backup": "aaow_storage_tools._backups.verifying",
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
