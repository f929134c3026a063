"""The errors of a driver as data: what each means, and what to do about it. They are translated here alone."""

from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from aaow_storage.authoring import redacted_text
from aaow_storage.errors import (
    ContentionError,
    CorruptDataError,
    StorageError,
    StorageUnavailableError,
    StoreBusyError,
    ValidationError,
)
from aaow_storage_sql._servers.meanings import Meaning

_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})
_CONTENTION: Final = {
    Meaning.CONFLICT: "another transaction changed the same records",
    Meaning.MISSING_REFERENCE: "a referenced record was deleted at the same time",
    Meaning.DUPLICATE: "another transaction stored a record with this id at the same time",
}
_KINDS: Final[Mapping[Meaning | None, type[StorageError]]] = {
    None: StorageError,
    Meaning.LATE: StorageUnavailableError,
    Meaning.LOCKED: StoreBusyError,
    Meaning.LOST: StorageUnavailableError,
    Meaning.TOO_MANY_CONNECTIONS: StorageUnavailableError,
    Meaning.UNAVAILABLE: StorageUnavailableError,
    Meaning.CORRUPT: CorruptDataError,
    Meaning.OTHER_SCHEMA: CorruptDataError,
    Meaning.BROKEN_RULE: StorageError,
    Meaning.REFUSED: StorageError,
}
_REMEDIES: Final[Mapping[Meaning | None, str]] = {
    Meaning.LATE: "try again later",
    Meaning.LOCKED: "another session holds the lock: end it, or try again",
    Meaning.LOST: "try again later",
    Meaning.TOO_MANY_CONNECTIONS: "lower pool_size, or let the server have more connections",
    Meaning.UNAVAILABLE: "try again later",
    Meaning.CORRUPT: "restore a backup",
    Meaning.OTHER_SCHEMA: "the schema was changed after initialize(); restore a backup",
}
_CAN_BE_CHANGED: Final = frozenset(
    {
        Meaning.LATE,
        Meaning.LOCKED,
        Meaning.LOST,
        Meaning.TOO_MANY_CONNECTIONS,
        Meaning.UNAVAILABLE,
        Meaning.REFUSED,
    }
)
"""The meanings of errors whose texts may say what to change in the server, its settings or the options."""


@frozen(kw_only=True, eq=False)
class ErrorTable:
    """What the errors of one driver mean. A code decides; else a part of the text; else the class of the exception.

    An error that none of them knows is a StorageError.

    Attributes:
        backend: the name of the backend, for the errors of values.
        database: what messages call the database, such as "PostgreSQL".
        code_of: returns the code of an exception of the driver; None if it has none, as when no server answers.
        describe: returns the text of an exception for messages, with its code or its class. Passwords are hidden, and
            lines are joined, afterwards.
        codes: the meaning of each code.
        texts: the meaning of parts of texts, for exceptions without a code, such as those of connecting. The first part
            that the text has decides.
        classes: the meaning of classes of exceptions, the first that fits, for codes and texts that are not known.
        remedies: what to do, by code.
        remedies_of_texts: what to do, by a part of the text; the first part that the text has decides. For what can be
            changed in the server, its settings or the options, not for stored data.
    """

    backend: str
    database: str
    code_of: Callable[[Exception], Hashable]
    describe: Callable[[Exception], str] = str
    codes: Mapping[Any, Meaning]
    texts: Mapping[str, Meaning] = field(default=_NOTHING)
    classes: Mapping[type[Exception], Meaning] = field(default=_NOTHING)
    remedies: Mapping[Any, str] = field(default=_NOTHING)
    remedies_of_texts: Mapping[str, str] = field(default=_NOTHING)

    def meaning(self, error: Exception) -> Meaning | None:
        """Return what an exception of the driver means; None if that is unknown."""
        code = self.code_of(error)
        found = self.codes.get(code)
        if found is None and code is None:
            found = _first(self.texts, str(error))
        if found is None:
            return next((meaning for kind, meaning in self.classes.items() if isinstance(error, kind)), None)
        return found

    def translate(self, error: Exception, place: str) -> StorageError:
        """Return the storage error for an exception of the driver, met in the database that `place` names."""
        text = " ".join(redacted_text(self.describe(error)).split())
        what = f"{place}: {text}"
        meaning = self.meaning(error)
        if meaning in _CONTENTION:
            return ContentionError(f"{_CONTENTION[meaning]}; try again: {what}")
        if meaning is Meaning.TOO_LARGE:
            return ValidationError(self.backend, "value", f"is larger than {self.database} can store: {text}")
        remedy = self.remedies.get(self.code_of(error))
        if remedy is None and meaning in _CAN_BE_CHANGED:
            remedy = _first(self.remedies_of_texts, text)
        if remedy is None:
            remedy = _REMEDIES.get(meaning)
        return _KINDS[meaning](what if remedy is None else f"{what}; {remedy}")


def _first(found_in: Mapping[str, Any], text: str) -> Any:
    """Return the value of the first key that is a part of the text; None if none is."""
    return next((value for part, value in found_in.items() if part in text), None)
