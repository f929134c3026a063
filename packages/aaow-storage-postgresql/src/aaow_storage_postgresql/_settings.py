"""Where the database is, and how its connections behave."""

import math
from typing import Any

import psycopg
from attrs import evolve, field, frozen
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from aaow_storage.authoring import redacted_url
from aaow_storage.errors import ValidationError

LONGEST_NAME = 63
"""How many bytes PostgreSQL keeps of a name."""
USUAL_TIMEOUT_S = 30.0
_FORMS = (
    "such as postgresql://user@host:5432/database, postgresql://host1,host2/database?target_session_attrs=read-write, "
    "or nothing for the PG* environment variables"
)


@frozen
class Settings:
    """Where the database is, and how its connections behave. Times are in seconds."""

    conninfo: str = field(repr=False)
    schema: str | None = None
    pool_size: int = 8
    connect_timeout: float = 10.0
    acquire_timeout: float = 30.0
    statement_timeout: float | None = USUAL_TIMEOUT_S
    pooler: str | None = None

    @property
    def place(self) -> str:
        """The database's name for errors, without its password."""
        parts = conninfo_to_dict(self.conninfo)
        hosts = str(parts.get("host") or "the default host")
        return f"PostgreSQL database {parts.get('dbname') or 'of the default name'!r} on {hosts}"

    @property
    def closes_within(self) -> float:
        """How long an adapter that closes waits for what it accepted, before it cuts its connections."""
        return self.acquire_timeout + (USUAL_TIMEOUT_S if self.statement_timeout is None else self.statement_timeout)

    @property
    def holds_sessions(self) -> bool:
        """Whether a connection keeps its server's session from one transaction to the next."""
        return self.pooler is None


def settings_of(
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
    settings = Settings(_conninfo(url))
    if schema is not None and (not isinstance(schema, str) or not _is_name(schema)):
        raise _wrong("schema", f"must be a name of 1 to {LONGEST_NAME} bytes, not {schema!r}")
    if type(pool_size) is not int or not 2 <= pool_size <= 1000:  # noqa: PLR2004 - said in the message
        raise _wrong("pool_size", f"must be an int from 2 to 1000, not {pool_size!r}")
    if pooler not in {None, "transaction"}:
        raise _wrong("pooler", f"must be 'transaction' or None, not {pooler!r}")
    return evolve(
        settings,
        schema=schema,
        pool_size=pool_size,
        connect_timeout=_seconds("connect_timeout", connect_timeout),
        acquire_timeout=_seconds("acquire_timeout", acquire_timeout),
        statement_timeout=None if statement_timeout is None else _seconds("statement_timeout", statement_timeout),
        pooler=pooler,
    )


def _conninfo(url: str | None) -> str:
    text = "" if url is None else url
    if not isinstance(text, str) or "\x00" in text:
        raise _wrong("url", f"must be a URL, {_FORMS}")
    try:
        return make_conninfo("", **{name: str(value) for name, value in conninfo_to_dict(text).items()})
    except psycopg.Error as error:
        raise _wrong("url", f"{redacted_url(text)!r} cannot be read; use one {_FORMS}") from error


def _is_name(name: str) -> bool:
    return 1 <= len(name.encode(errors="replace")) <= LONGEST_NAME and "\x00" not in name


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise _wrong(name, f"must be a number of seconds above 0, not {value!r}")
    return float(value)


def _wrong(name: str, problem: str) -> ValidationError:
    return ValidationError("postgresql", name, problem)
