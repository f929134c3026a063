"""Translation of psycopg's exceptions into errors of storage; no other module does it."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import errors as pg

from aaow_storage.authoring import redacted_text
from aaow_storage.errors import (
    ContentionError,
    CorruptDataError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    ValidationError,
)

_CONFLICTS = (pg.SerializationFailure, pg.DeadlockDetected)
_RETRYABLE = (*_CONFLICTS, pg.ForeignKeyViolation, pg.UniqueViolation)
_CORRUPT = (pg.DataCorrupted, pg.IndexCorrupted, pg.UndefinedFile)
_NO_SUCH_SCHEMA = (
    pg.UndefinedTable,
    pg.UndefinedColumn,
    pg.UndefinedFunction,
    pg.UndefinedObject,
    pg.InvalidSchemaName,
    pg.InvalidColumnReference,
)
"""Errors of a statement whose table, column or function is missing."""
_TRANSIENT = (
    pg.QueryCanceled,
    pg.ReadOnlySqlTransaction,
    pg.InsufficientResources,
    pg.TooManyConnections,
    pg.AdminShutdown,
    pg.CrashShutdown,
    pg.CannotConnectNow,
    pg.IdleInTransactionSessionTimeout,
    pg.ObjectInUse,
    pg.IoError,
)
_PERMANENT = (
    pg.InvalidPassword,
    pg.InvalidAuthorizationSpecification,
    pg.InvalidCatalogName,
    pg.InsufficientPrivilege,
)
_PERMANENT_REMEDIES: dict[str, str] = {
    "password authentication failed": "check user and password",
    "no password supplied": "give the password in the URL, in PGPASSWORD or in a password file",
    "no pg_hba.conf entry": "allow this user and host in the server's pg_hba.conf",
    "does not exist": "check the names of the database and the role",
    "permission denied": "grant the role the missing privilege",
}
_TRANSIENT_REMEDIES: dict[str, str] = {
    "statement timeout": "raise statement_timeout, or look up in pg_locks what it waited for",
    "read-only transaction": "connect to the primary, for example with target_session_attrs=read-write",
    "too many c": "lower pool_size, or raise max_connections of the server",
    "remaining connection slots": "lower pool_size, or raise max_connections of the server",
    "No space left": "free space on the server's disk",
    "Connection refused": "check that the server runs, and its host and port",
}
_TOO_MANY_CONNECTIONS = ("53300", "too many clients", "too many connections", "remaining connection slots")


def translate(error: Exception, place: str) -> StorageError:
    """Return the error of storage for a driver's exception."""
    what = f"{place}: {_text(error)}"
    match error:
        case _ if isinstance(error, _CONFLICTS):
            return ContentionError(f"another transaction changed the same records; try again: {what}")
        case pg.ForeignKeyViolation():
            return ContentionError(f"a referenced record was deleted at the same time; try again: {what}")
        case pg.UniqueViolation():
            return ContentionError(
                f"another transaction stored a record with this id at the same time; try again: {what}"
            )
        case _ if isinstance(error, _CORRUPT):
            return CorruptDataError(f"{what}; restore a backup")
        case pg.InvalidTextRepresentation():
            return CorruptDataError(f"a stored document is not JSON; restore a backup: {what}")
        case _ if isinstance(error, _NO_SUCH_SCHEMA):
            return CorruptDataError(f"{what}: the schema was changed after initialize(); restore a backup")
        case pg.ProgramLimitExceeded() | pg.StringDataRightTruncation():
            return ValidationError("postgresql", "value", f"is larger than PostgreSQL can store: {_text(error)}")
        case _ if isinstance(error, _PERMANENT):
            return StorageError(_with_remedy(what, _PERMANENT_REMEDIES))
        case pg.LockNotAvailable():
            remedy = "another session holds the lock: pg_locks and pg_stat_activity show it; end it, or try again"
            return StoreBusyError(f"{what}; {remedy}")
        case psycopg.OperationalError() if error.sqlstate is None and _remedy(what, _PERMANENT_REMEDIES):
            return StorageError(_with_remedy(what, _PERMANENT_REMEDIES))
        case _ if isinstance(error, (*_TRANSIENT, psycopg.OperationalError, psycopg.InterfaceError)):
            return StorageUnavailableError(_with_remedy(what, _TRANSIENT_REMEDIES, "try again later"))
    return StorageError(what)


def is_conflict(error: BaseException | None) -> bool:
    """Whether the transaction failed because of a concurrent one, and has to be run again as a whole."""
    return isinstance(_driver_error(error), _CONFLICTS)


def is_retryable(error: BaseException | None) -> bool:
    """Whether the same operation may succeed at once if it is run again."""
    return isinstance(_driver_error(error), _RETRYABLE)


def is_timeout(error: BaseException) -> bool:
    """Whether the statement reached its timeout, or was cancelled."""
    return isinstance(_driver_error(error), pg.QueryCanceled)


def is_lock_timeout(error: BaseException) -> bool:
    """Whether another session held a lock for longer than `lock_timeout`."""
    return isinstance(_driver_error(error), pg.LockNotAvailable)


def is_too_many_connections(error: BaseException) -> bool:
    """Whether the server has no free connection."""
    return any(part in str(error) for part in _TOO_MANY_CONNECTIONS)


def _driver_error(error: BaseException | None) -> Any:
    return None if error is None else error.__cause__


def _text(error: Exception) -> str:
    text = " ".join(redacted_text(str(error)).split())
    return f"{text} ({type(error).__name__})"


def _with_remedy(what: str, remedies: Mapping[str, str], otherwise: str = "") -> str:
    remedy = _remedy(what, remedies) or otherwise
    return f"{what}; {remedy}" if remedy else what


def _remedy(what: str, remedies: Mapping[str, str]) -> str | None:
    return next((remedy for part, remedy in remedies.items() if part in what), None)
