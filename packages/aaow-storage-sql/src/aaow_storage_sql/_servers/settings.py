"""The options that adapters of every server have, checked when they are set."""

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from attrs import Attribute, Factory, field, frozen

from aaow_storage.authoring import shown
from aaow_storage.errors import ValidationError
from aaow_storage_sql._servers.tuning import ServerTuning

MIN_POOL_SIZE, MAX_POOL_SIZE = 2, 1000


def _check_pool_size(settings: "ServerSettings", attribute: "Attribute[Any]", value: Any) -> None:
    del attribute
    if type(value) is not int or not MIN_POOL_SIZE <= value <= MAX_POOL_SIZE:
        problem = f"must be an int from {MIN_POOL_SIZE} to {MAX_POOL_SIZE}, not {shown(value)}"
        raise settings.invalid("pool_size", problem)


def _check_seconds(settings: "ServerSettings", attribute: "Attribute[Any]", value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise settings.invalid(attribute.name, f"must be a number of seconds above 0, not {shown(value)}")


def _check_optional_seconds(settings: "ServerSettings", attribute: "Attribute[Any]", value: Any) -> None:
    if value is not None:
        _check_seconds(settings, attribute, value)


def _check_changes(settings: "ServerSettings", attribute: "Attribute[Any]", value: Any) -> None:
    del attribute
    if value is not None and type(value) is not bool:
        raise settings.invalid("changes", f"must be True, False or None, not {shown(value)}")


@frozen(kw_only=True)
class ServerSettings(ABC):
    """How the connections of an adapter behave. A backend adds where the database is. Times are in seconds.

    Raises:
        ValidationError: an option is wrong.
    """

    backend: ClassVar[str]
    """The name of the backend, for errors of options."""
    default_pool_size: ClassVar[int] = 8

    pool_size: int = field(
        default=Factory(lambda self: self.default_pool_size, takes_self=True), validator=_check_pool_size
    )
    """The most connections of an adapter; each has a thread."""
    connect_timeout: float = field(default=10.0, validator=_check_seconds)
    """How long to wait for the server to answer while a connection is opened."""
    acquire_timeout: float = field(default=30.0, validator=_check_seconds)
    """How long an operation waits for a free connection."""
    statement_timeout: float | None = field(default=30.0, validator=_check_optional_seconds)
    """How long a statement may take; None for no limit."""
    changes: bool | None = field(default=None, validator=_check_changes)
    """Whether the store records its changes; None leaves it as it is."""
    tuning: ServerTuning = field(factory=ServerTuning, repr=False)

    @property
    @abstractmethod
    def place(self) -> str:
        """The database's name for messages, without a password."""

    @property
    def close_timeout_s(self) -> float:
        """How long `close` waits for accepted operations before it shuts the sockets down."""
        timeout = self.tuning.close_timeout_s if self.statement_timeout is None else self.statement_timeout
        return self.acquire_timeout + timeout

    def invalid(self, option: str, problem: str) -> ValidationError:
        """Return the error for an option."""
        return ValidationError(self.backend, option, problem)
