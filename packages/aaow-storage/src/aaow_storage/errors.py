"""Every error that storage raises on purpose.

    StorageError
    |-- ValidationError (ValueError)            a value, field or option is wrong; nothing was stored
    |-- NotFoundError (LookupError)             the record, or the parent it refers to, is not there
    |-- AlreadyExistsError (LookupError)        an insert met a record with the same id
    |-- ConflictError                           the stored record does not allow it now
    |   `-- BudgetExceededError                 a pool has too little left
    |-- TransactionError                        the transaction is over, timed out, or was bypassed
    |-- AdapterClosedError                      the adapter is not initialized, or is closed
    |-- UnsupportedOperationError               the backend does not have that capability
    |-- SchemaVersionError                      the store is older or newer than the code
    |-- StorageUnavailableError                 transient: try again
    |-- CorruptDataError                        what is stored cannot be what was saved
    `-- BackendNotFoundError (LookupError)      no usable backend under that name

Each error takes the facts, builds its message from them and keeps them as attributes, so it can be pickled and copied.
The driver's own exception, where there is one, is the `__cause__`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaow_storage._records import BudgetPool

__all__ = [
    "AdapterClosedError",
    "AlreadyExistsError",
    "BackendNotFoundError",
    "BudgetExceededError",
    "ConflictError",
    "CorruptDataError",
    "NotFoundError",
    "SchemaVersionError",
    "StorageError",
    "StorageUnavailableError",
    "TransactionError",
    "UnsupportedOperationError",
    "ValidationError",
]


class StorageError(Exception):
    """The root of every error that storage raises on purpose."""


class ValidationError(StorageError, ValueError):
    """A value is not what the field takes; nothing was stored.

    Attributes:
        record: the record or the operation that refused, such as `"BudgetPool"` or `"consume_budget"`.
        field: the field, argument or path inside a document, such as `"definition.nodes[3].timeout"`.
        problem: what is wrong, and what would be right.
    """

    def __init__(self, record: str, field: str, problem: str) -> None:
        super().__init__(record, field, problem)
        self.record = record
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.record}.{self.field}: {self.problem}"


class NotFoundError(StorageError, LookupError):
    """There is no such record.

    Attributes:
        kind: what was looked for, such as `"session"`.
        id: the id that was looked for.
    """

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id)
        self.kind = kind
        self.id = id

    def __str__(self) -> str:
        return f"there is no {self.kind.replace('_', ' ')} {self.id!r}"


class AlreadyExistsError(StorageError, LookupError):
    """A record with that id is already stored, and stays as it was.

    Attributes:
        kind: what was to be inserted, such as `"session"`.
        id: the id that is taken.
    """

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id)
        self.kind = kind
        self.id = id

    def __str__(self) -> str:
        return f"the {self.kind.replace('_', ' ')} {self.id!r} already exists"


class ConflictError(StorageError):
    """What is stored does not allow the operation, now.

    Attributes:
        reason: why.
        current: the record as it is stored, or None.
    """

    def __init__(self, reason: str, current: object = None) -> None:
        super().__init__(reason, current)
        self.reason = reason
        self.current = current

    def __str__(self) -> str:
        return self.reason


class BudgetExceededError(ConflictError):
    """A budget pool, or one of its ancestors, has too little left; no pool was changed.

    Attributes:
        pool: the record of the pool that has too little (also `current`).
    """

    def __init__(self, reason: str, pool: "BudgetPool") -> None:
        super().__init__(reason, pool)
        self.pool = pool


class TransactionError(StorageError):
    """The transaction is over, ran out of time, or was bypassed by a call on its adapter."""


CLOSED = "it was closed before this call could begin; call initialize() to open it again"
"""The remedy of an `AdapterClosedError` for a call that waited while another task closed the adapter."""


class AdapterClosedError(StorageError):
    """The adapter is not initialized yet, or is closed.

    Attributes:
        remedy: why it is not open, where that is known, and what to do.
    """

    def __init__(self, remedy: str = "call initialize(), or use it in `async with`") -> None:
        super().__init__(remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"the adapter is not open: {self.remedy}"


class UnsupportedOperationError(StorageError):
    """The backend does not have the capability that the operation needs.

    Attributes:
        operation: the operation that was called.
        capability: the capability that is missing.
    """

    def __init__(self, operation: str, capability: str) -> None:
        super().__init__(operation, capability)
        self.operation = operation
        self.capability = capability

    def __str__(self) -> str:
        return f"{self.operation}() needs the capability {self.capability!r}, which this backend does not have"


class SchemaVersionError(StorageError):
    """The store has a schema that this code does not work on; nothing was touched.

    Attributes:
        found: the version of the store, or None for a store without a schema.
        expected: the version of the code.
        remedy: what to run.
    """

    def __init__(self, found: str | None, expected: str, remedy: str) -> None:
        super().__init__(found, expected, remedy)
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        found = "has no schema" if self.found is None else f"has schema version {self.found}"
        return f"the store {found}, this code works on {self.expected}: {self.remedy}"


class StorageUnavailableError(StorageError):
    """The store cannot be reached or is busy for now; trying again may help."""


class CorruptDataError(StorageError):
    """What is stored cannot be what was saved: a digest differs, or a value, a document or the file cannot be read."""


class BackendNotFoundError(StorageError, LookupError):
    """No usable backend has that name.

    Attributes:
        name: the name that was asked for.
        installed: the names of the backends that are installed.
        remedy: what is wrong with this name, and what to do.
    """

    def __init__(self, name: str, installed: Iterable[str], remedy: str) -> None:
        self.name = name
        self.installed = tuple(installed)
        self.remedy = remedy
        super().__init__(name, self.installed, remedy)

    def __str__(self) -> str:
        installed = ", ".join(self.installed) or "none"
        return f"no usable storage backend {self.name!r}: {self.remedy} (installed: {installed})"
