"""Every error that storage raises on purpose.

    StorageError
    |-- ValidationError (ValueError)            a value, field or option is wrong; nothing was stored
    |-- NotFoundError (LookupError)             the record, or the parent it refers to, is not stored
    |-- AlreadyExistsError (LookupError)        a record with the same id is stored already
    |-- ConflictError                           the stored record does not allow the operation now
    |   |-- BudgetExceededError                 a budget pool has too little left
    |   `-- ContentionError                 (*)   a concurrent transaction was in the way; run it again
    |-- TransactionError                        the transaction has ended, or was bypassed
    |-- ChangesLostError (LookupError)          changes after that position are not kept any more
    |-- AdapterClosedError                      the adapter is not initialized, or is closed
    |-- UnsupportedOperationError               the backend lacks the capability
    |   `-- NotOfferedError                     the backend does not offer this part of maintenance
    |-- SchemaVersionError                      the schema of the store is older or newer than the code
    |-- StorageUnavailableError         (*)     the store is busy or out of reach; try again
    |   |-- StoreBusyError              (*)     others hold its locks or its connections; try again
    |   `-- OutcomeUnknownError                 the connection was lost during a commit; read what is stored
    |-- CorruptDataError                        what is stored cannot be what was saved
    `-- BackendNotFoundError (LookupError)      no usable backend has that name

Those with (*) are `is_retryable`: another attempt at the same operation or transaction may succeed, because nothing was
stored, and what was in the way passes by itself. For all others it would fail again, or do the same twice.

The message says what happened, to which record and field, and what to do. The facts in it are attributes too. Errors
can be copied and pickled. The exception of a driver that led to an error is its `__cause__`.
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
    "ChangesLostError",
    "ConflictError",
    "ContentionError",
    "CorruptDataError",
    "NotFoundError",
    "NotOfferedError",
    "OutcomeUnknownError",
    "SchemaVersionError",
    "StorageError",
    "StorageUnavailableError",
    "StoreBusyError",
    "TransactionError",
    "UnsupportedOperationError",
    "ValidationError",
]


_MAX_SHOWN_FIELD = 200
"""How many characters of a path a message shows: its beginning and its end."""


class StorageError(Exception):
    """The base class of every error that storage raises on purpose."""

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt at the same operation or transaction may succeed; each class says so for itself.

        It is False for a permanent refusal: the attempt would fail again until somebody changes the call or the store.
        If it is True, nothing was stored. In an open transaction, all of the transaction has to be run again.
        """
        return False


class ValidationError(StorageError, ValueError):
    """A value is not valid for its field, argument or option; nothing was stored.

    Attributes:
        record: the record or the operation, such as `"BudgetPool"` or `"consume_budget"`.
        field: the field, the argument, or the path into a document, such as `"definition.nodes[3].timeout"`.
        problem: what is wrong, and what would be valid.
    """

    def __init__(self, record: str, field: str, problem: str) -> None:
        super().__init__(record, field, problem)
        self.record = record
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        field = self.field
        if len(field) > _MAX_SHOWN_FIELD:
            field = f"{field[: _MAX_SHOWN_FIELD // 2]}...{field[-_MAX_SHOWN_FIELD // 2 :]}"
        return f"{self.record}.{field}: {self.problem}"


class NotFoundError(StorageError, LookupError):
    """The record that an operation changes, or the parent that a new record refers to, is not stored.

    Attributes:
        kind: the kind of the record that is missing, such as `"session"`.
        id: its id.
    """

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id)
        self.kind = kind
        self.id = id

    def __str__(self) -> str:
        if self.kind == "execution_state":
            return f"there is no execution state of the session {self.id!r}: call save_execution_state() for it first"
        return f"there is no {_noun(self.kind)} {self.id!r}: check the id, or store it first"


class AlreadyExistsError(StorageError, LookupError):
    """A record with that id is stored already, and stays as it was.

    Attributes:
        kind: the kind of the record, such as `"session"`.
        id: the id that is taken.
    """

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id)
        self.kind = kind
        self.id = id

    def __str__(self) -> str:
        remedy = "it was not changed; use another id, such as new_id() makes"
        return f"the {_noun(self.kind)} {self.id!r} already exists: {remedy}"


def _noun(kind: str) -> str:
    return kind.replace("llm", "LLM").replace("_", " ")


class ConflictError(StorageError):
    """What is stored does not allow the operation now; nothing was changed.

    Attributes:
        reason: why, and what to do.
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


class ContentionError(ConflictError):
    """A concurrent transaction changed or locked the same records; nothing was stored, so run all of it again.

    A transaction that raises it lost a race, and may be rolled back already. `StorageAdapter.transact` runs it again.
    """

    @property
    def is_retryable(self) -> bool:
        """True: the other transaction has ended by the next attempt, or soon after."""
        return True


class TransactionError(StorageError):
    """The transaction has ended, timed out, or was bypassed by a call on its adapter."""


class ChangesLostError(StorageError, LookupError):
    """A change after a position of the change feed was pruned, or was made while the store recorded none.

    Start over: take the position of `last_change()`, read the records, and go on after that position.

    Attributes:
        position: the position from which nobody can go on.
    """

    def __init__(self, position: str) -> None:
        super().__init__(position)
        self.position = position

    def __str__(self) -> str:
        remedy = "take the position of last_change(), read the records, and go on after that position"
        return f"changes after the position {self.position!r} are not kept any more: {remedy}"


CLOSED = "it was closed before this call could begin; call initialize() to open it again"
"""The `remedy` for a call that had not begun when another task closed the adapter."""

CLOSED_IN_TRANSACTION = (
    "the adapter was closed while it was open, so nothing of it was stored; run all of it again on an open adapter"
)
"""Why a transaction is over that was open when its adapter was closed."""


class AdapterClosedError(StorageError):
    """The adapter is not initialized yet, or is closed.

    Attributes:
        remedy: what to do, and if it is known, why the adapter is not open.
    """

    def __init__(self, remedy: str = "call initialize(), or use it in `async with`") -> None:
        super().__init__(remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"the adapter is not open: {self.remedy}"


class UnsupportedOperationError(StorageError):
    """The backend lacks the capability that the operation needs, or was built for a contract without the operation.

    Attributes:
        operation: the operation that was called.
        capability: the capability that is missing.
    """

    def __init__(self, operation: str, capability: str) -> None:
        super().__init__(operation, capability)
        self.operation = operation
        self.capability = capability

    def __str__(self) -> str:
        problem = f"{self.operation}() needs the capability '{self.capability}', which this backend lacks"
        return (
            f"{problem}: see adapter.capabilities, and Backend.contract, because operations come with later contracts"
        )


class NotOfferedError(UnsupportedOperationError):
    """The backend does not offer this part of `StoreMaintenance`; nothing was done, and all else works.

    Attributes:
        operation: the method that was called, or `"maintenance"` if the backend offers none of them.
        place: the store, or the backend.
        reason: why, and what to do; may be empty.
    """

    def __init__(self, operation: str, place: str, reason: str = "") -> None:
        super().__init__(operation, "maintenance")
        self.args = (operation, place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        what = "maintenance" if self.operation == "maintenance" else f"{self.operation}()"
        return f"{self.place}: its backend does not offer {what}" + (f": {self.reason}" if self.reason else "")


class SchemaVersionError(StorageError):
    """The store has a schema that this code does not work on; the store was not changed.

    Attributes:
        found: the schema version of the store, or None for a store without a schema.
        expected: the schema version that the code needs.
        remedy: what to do.
    """

    def __init__(self, found: str | None, expected: str, remedy: str) -> None:
        super().__init__(found, expected, remedy)
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        found = "has no schema" if self.found is None else f"has schema version {self.found}"
        return f"the store {found}, and this code needs version {self.expected}: {self.remedy}"


class StorageUnavailableError(StorageError):
    """The store cannot be reached, or is busy; another attempt may succeed.

    A store that refuses this caller for good (a wrong password, a missing privilege, an unknown database) raises
    another `StorageError`.
    """

    @property
    def is_retryable(self) -> bool:
        """True, except for an `OutcomeUnknownError`."""
        return True


class StoreBusyError(StorageUnavailableError):
    """The store was reached, but others held its locks, or all connections, for longer than the caller waits."""


class OutcomeUnknownError(StorageUnavailableError):
    """The connection was lost during a commit, and nobody can say whether it is stored: read the records to see."""

    @property
    def is_retryable(self) -> bool:
        """False: if it is stored, another attempt would do it twice."""
        return False


class CorruptDataError(StorageError):
    """What is stored cannot be what was saved: a digest does not match, or a value, document or file is unreadable."""


class BackendNotFoundError(StorageError, LookupError):
    """No usable backend has that name.

    Attributes:
        name: the name that was asked for.
        installed: the names of the installed backends.
        remedy: what is wrong, and what to do.
    """

    def __init__(self, name: str, installed: Iterable[str], remedy: str) -> None:
        self.name = name
        self.installed = tuple(installed)
        self.remedy = remedy
        super().__init__(name, self.installed, remedy)

    def __str__(self) -> str:
        installed = ", ".join(self.installed) or "none"
        return f"no usable storage backend {self.name!r}: {self.remedy} (installed: {installed})"
