"""The options of an adapter, checked when they are set."""

import math
from typing import Any

from attrs import Attribute, field, frozen

from aaow_storage.authoring import shown, text_problem
from aaow_storage.errors import ValidationError
from aaow_storage_postgresql._conninfo import MAX_NAME_BYTES, place_of
from aaow_storage_postgresql._tuning import Tuning

MIN_POOL_SIZE, MAX_POOL_SIZE = 2, 1000


def _check_schema(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del settings, attribute
    is_name = (
        isinstance(value, str)
        and 1 <= len(value.encode(errors="replace")) <= MAX_NAME_BYTES
        and "\x00" not in value
        and text_problem(value) is None
    )
    if value is not None and not is_name:
        raise _invalid("schema", f"must be a name of 1 to {MAX_NAME_BYTES} bytes, not {shown(value)}")


def _check_pool_size(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del settings, attribute
    if type(value) is not int or not MIN_POOL_SIZE <= value <= MAX_POOL_SIZE:
        raise _invalid("pool_size", f"must be an int from {MIN_POOL_SIZE} to {MAX_POOL_SIZE}, not {shown(value)}")


def _check_seconds(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del settings
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise _invalid(attribute.name, f"must be a number of seconds above 0, not {shown(value)}")


def _check_optional_seconds(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    if value is not None:
        _check_seconds(settings, attribute, value)


def _check_pooler(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del settings, attribute
    if value not in {None, "transaction"}:
        raise _invalid("pooler", f"must be 'transaction' or None, not {shown(value)}")


def _check_changes(settings: "Settings", attribute: "Attribute[Any]", value: Any) -> None:
    del settings, attribute
    if value is not None and type(value) is not bool:
        raise _invalid("changes", f"must be True, False or None, not {shown(value)}")


@frozen
class Settings:
    """Where the database is, and how its connections behave. Times are in seconds.

    Raises:
        ValidationError: an option is wrong.
    """

    conninfo: str = field(repr=False)
    """What libpq connects to; it may hold a password."""
    schema: str | None = field(default=None, validator=_check_schema)
    pool_size: int = field(default=8, validator=_check_pool_size)
    connect_timeout: float = field(default=10.0, validator=_check_seconds)
    acquire_timeout: float = field(default=30.0, validator=_check_seconds)
    statement_timeout: float | None = field(default=30.0, validator=_check_optional_seconds)
    pooler: str | None = field(default=None, validator=_check_pooler)
    changes: bool | None = field(default=None, validator=_check_changes)
    tuning: Tuning = field(factory=Tuning, repr=False)

    @property
    def place(self) -> str:
        """The database's name for messages, without a password."""
        return place_of(self.conninfo)

    @property
    def close_timeout_s(self) -> float:
        """How long `close` waits for accepted operations before it shuts the sockets down."""
        timeout = self.tuning.close_timeout_s if self.statement_timeout is None else self.statement_timeout
        return self.acquire_timeout + timeout

    @property
    def has_own_sessions(self) -> bool:
        """Whether a connection keeps its server session between transactions. With a pooler it does not."""
        return self.pooler is None


def _invalid(name: str, problem: str) -> ValidationError:
    return ValidationError("postgresql", name, problem)
