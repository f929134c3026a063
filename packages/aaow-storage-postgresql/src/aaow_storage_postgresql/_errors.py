"""What the driver's exceptions mean: the one place where that is decided."""

from typing import Any

import psycopg
from psycopg import errors as pg

from aaow_storage.authoring import redacted_text
from aaow_storage.errors import (
    ConflictError,
    CorruptDataError,
    StorageError,
    StorageUnavailableError,
    ValidationError,
)

_CONFLICTS = (pg.SerializationFailure, pg.DeadlockDetected)
_RETRYABLE = (*_CONFLICTS, pg.ForeignKeyViolation)
_CORRUPT = (pg.DataCorrupted, pg.IndexCorrupted, pg.UndefinedFile)
_NO_SUCH_SCHEMA = (
    pg.UndefinedTable,
    pg.UndefinedColumn,
    pg.UndefinedFunction,
    pg.UndefinedObject,
    pg.InvalidSchemaName,
    pg.InvalidColumnReference,
)
"""What a statement meets where the schema is not what the migrations make."""
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
_REMEDIES: dict[str, str] = {
    "password authentication failed": "check user and password",
    "no password supplied": "name the password in the URL, PGPASSWORD or the password file",
    "no pg_hba.conf entry": "the server does not let this user in from here",
    "does not exist": "check the names of database and role",
    "permission denied": "grant what is missing",
}
_TOO_MANY_CONNECTIONS = ("53300", "too many clients", "too many connections", "remaining connection slots")


def translate(error: Exception, place: str) -> StorageError:
    """Return the error of storage that a driver's exception means."""
    what = f"{place}: {_text(error)}"
    match error:
        case _ if isinstance(error, _CONFLICTS):
            return ConflictError(f"another transaction changed the same records: {what}")
        case pg.ForeignKeyViolation():
            return ConflictError(f"what it refers to came or went meanwhile: {what}")
        case _ if isinstance(error, _CORRUPT):
            return CorruptDataError(what)
        case pg.InvalidTextRepresentation():
            return CorruptDataError(f"what is stored as JSON is none: {what}")
        case _ if isinstance(error, _NO_SUCH_SCHEMA):
            return CorruptDataError(f"{what}: the schema is not what initialize() makes; restore a backup")
        case pg.ProgramLimitExceeded() | pg.StringDataRightTruncation():
            return ValidationError("postgresql", "value", f"is larger than PostgreSQL can store: {_text(error)}")
        case _ if isinstance(error, _PERMANENT):
            return StorageError(what + _remedy(what))
        case pg.LockNotAvailable():
            remedy = "another session holds the lock: pg_locks and pg_stat_activity show it; end it, or try again"
            return StorageUnavailableError(f"{what}; {remedy}")
        case _ if isinstance(error, _TRANSIENT):
            return StorageUnavailableError(what)
        case psycopg.OperationalError() if error.sqlstate is None:
            return StorageError(what + _remedy(what)) if _remedy(what) else StorageUnavailableError(what)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return StorageUnavailableError(what)
    return StorageError(what)


def is_conflict(error: BaseException | None) -> bool:
    """Say whether an error of storage comes of what another transaction did: the whole has to be run again."""
    return isinstance(_driver_error(error), _CONFLICTS)


def is_retryable(error: BaseException | None) -> bool:
    """Say whether the same operation, run again as a whole, may go through at once."""
    return isinstance(_driver_error(error), _RETRYABLE)


def is_timeout(error: BaseException) -> bool:
    """Say whether the server had no answer in time, or was asked to stop."""
    return isinstance(_driver_error(error), pg.QueryCanceled)


def is_lock_timeout(error: BaseException) -> bool:
    """Say whether another session held a lock for longer than `lock_timeout`."""
    return isinstance(_driver_error(error), pg.LockNotAvailable)


def is_too_many_connections(error: BaseException) -> bool:
    """Say whether the server has no connection left to give."""
    return any(part in str(error) for part in _TOO_MANY_CONNECTIONS)


def _driver_error(error: BaseException | None) -> Any:
    return None if error is None else error.__cause__


def _text(error: Exception) -> str:
    text = " ".join(redacted_text(str(error)).split())
    return f"{text} ({type(error).__name__})"


def _remedy(what: str) -> str:
    remedies = [remedy for sign, remedy in _REMEDIES.items() if sign in what]
    return f"; {remedies[0]}" if remedies else ""
