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
from aaow_storage_sql import Meaning

_CONFLICTS = (pg.SerializationFailure, pg.DeadlockDetected)
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
_TOO_MANY_CONNECTIONS = ("too many clients", "too many connections", "remaining connection slots")
_MEANINGS: dict[Meaning, tuple[type[Exception], ...]] = {
    Meaning.CONFLICT: _CONFLICTS,
    Meaning.MISSING_REFERENCE: (pg.ForeignKeyViolation,),
    Meaning.DUPLICATE: (pg.UniqueViolation,),
    Meaning.LATE: (pg.QueryCanceled,),
    Meaning.LOCKED: (pg.LockNotAvailable,),
    Meaning.TOO_MANY_CONNECTIONS: (pg.TooManyConnections,),
    Meaning.OTHER_SCHEMA: _NO_SUCH_SCHEMA,
    Meaning.BROKEN_RULE: (pg.DatatypeMismatch, pg.NotNullViolation, pg.CheckViolation),
}


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


def meaning_of(error: BaseException | None) -> Meaning | None:
    """Return what an error means, of psycopg or caused by one; None if it is unknown."""
    driver_error = error if isinstance(error, psycopg.Error) else _driver_error(error)
    if not isinstance(driver_error, psycopg.Error):
        return None
    for meaning, classes in _MEANINGS.items():
        if isinstance(driver_error, classes):
            return meaning
    is_full = any(part in str(driver_error) for part in _TOO_MANY_CONNECTIONS)
    return Meaning.TOO_MANY_CONNECTIONS if is_full else None


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
