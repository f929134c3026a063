"""Where the database is, and how its connections behave."""

import math
from typing import Any

from attrs import evolve, field, frozen

from aaow_storage.authoring import shown, text_problem
from aaow_storage.errors import ValidationError
from aaow_storage_postgresql._conninfo import MAX_NAME_BYTES, conninfo_of, place_of

DEFAULT_TIMEOUT_S = 30.0


@frozen
class Settings:
    """Where the database is, and how its connections behave. Times are in seconds."""

    conninfo: str = field(repr=False)
    schema: str | None = None
    pool_size: int = 8
    connect_timeout: float = 10.0
    acquire_timeout: float = 30.0
    statement_timeout: float | None = DEFAULT_TIMEOUT_S
    pooler: str | None = None

    @property
    def place(self) -> str:
        """The database's name for errors, without its password."""
        return place_of(self.conninfo)

    @property
    def close_timeout_s(self) -> float:
        """How long an adapter that closes waits for what it accepted, before it cuts its connections."""
        return self.acquire_timeout + (DEFAULT_TIMEOUT_S if self.statement_timeout is None else self.statement_timeout)

    @property
    def has_own_sessions(self) -> bool:
        """Whether a connection keeps its server's session from one transaction to the next."""
        return self.pooler is None


def parse_settings(
    url: str | None,
    *,
    schema: str | None,
    pool_size: int,
    connect_timeout: float,
    acquire_timeout: float,
    statement_timeout: float | None,
    pooler: str | None,
) -> Settings:
    """Check a URL and the options.

    Raises:
        ValidationError: one of them is wrong.
    """
    settings = Settings(conninfo_of(url))
    if schema is not None and (not isinstance(schema, str) or not _is_name(schema)):
        raise _wrong("schema", f"must be a name of 1 to {MAX_NAME_BYTES} bytes, not {shown(schema)}")
    if type(pool_size) is not int or not 2 <= pool_size <= 1000:  # noqa: PLR2004 - said in the message
        raise _wrong("pool_size", f"must be an int from 2 to 1000, not {shown(pool_size)}")
    if pooler not in {None, "transaction"}:
        raise _wrong("pooler", f"must be 'transaction' or None, not {shown(pooler)}")
    return evolve(
        settings,
        schema=schema,
        pool_size=pool_size,
        connect_timeout=_seconds("connect_timeout", connect_timeout),
        acquire_timeout=_seconds("acquire_timeout", acquire_timeout),
        statement_timeout=None if statement_timeout is None else _seconds("statement_timeout", statement_timeout),
        pooler=pooler,
    )


def _is_name(name: str) -> bool:
    return (
        1 <= len(name.encode(errors="replace")) <= MAX_NAME_BYTES and "\x00" not in name and text_problem(name) is None
    )


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise _wrong(name, f"must be a number of seconds above 0, not {shown(value)}")
    return float(value)


def _wrong(name: str, problem: str) -> ValidationError:
    return ValidationError("postgresql", name, problem)
