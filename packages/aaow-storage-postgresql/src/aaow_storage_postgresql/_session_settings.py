"""Settings of a server session. They override those of roles, databases, URLs and environment variables."""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aaow_storage_postgresql._catalog import quote
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import SQLConnection

_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq reports a connection whose other end is gone after half a minute."""
_VERSION_17 = 170_000


def connection_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the libpq parameters to add to those of the URL. Only the encoding overrides the URL's."""
    return {**{name: value for name, value in _KEEPALIVES.items() if name not in given}, "client_encoding": "UTF8"}


def set_session(connection: SQLConnection, settings: Settings, server_version: int) -> None:
    """Set what the statements of this backend rely on, for the session, in one statement."""
    wanted = {
        **_of_transactions(settings),
        "default_transaction_isolation": "read committed",
        "idle_session_timeout": "0",
        "TimeZone": "UTC",
        "DateStyle": "ISO",
    }
    if server_version >= _VERSION_17:
        wanted["transaction_timeout"] = "0"
    connection.row(_setting(tuple(wanted), is_local=False), wanted)


def set_transaction(connection: SQLConnection, settings: Settings) -> None:
    """Set the same until the open transaction ends. For a session that a pooler shares with other clients."""
    wanted = _of_transactions(settings)
    connection.row(_setting(tuple(wanted), is_local=True), wanted)


def limit_statements(connection: SQLConnection, timeout_s: float) -> None:
    """Limit each statement of the open transaction to that many seconds."""
    wanted = {"statement_timeout": str(milliseconds(timeout_s))}
    connection.row(_setting(tuple(wanted), is_local=True), wanted)


def _of_transactions(settings: Settings) -> dict[str, str]:
    """Return the settings that a transaction needs. Without a `statement_timeout`, the server's timeouts apply."""
    wanted = {"idle_in_transaction_session_timeout": "0", "standard_conforming_strings": "on"}
    if settings.statement_timeout is not None:
        wanted |= {"statement_timeout": str(milliseconds(settings.statement_timeout)), "lock_timeout": "0"}
    if settings.schema is not None:
        wanted["search_path"] = quote(settings.schema)
    return wanted


@functools.cache
def _setting(names: tuple[str, ...], *, is_local: bool) -> sa.Select[Any]:
    local = sa.true() if is_local else sa.false()
    return sa.select(*(sa.func.set_config(name, sa.bindparam(name, type_=sa.Text), local) for name in names))


def milliseconds(seconds: float) -> int:
    """Return a timeout in the unit of the server's settings. It is never 0, which would be no timeout."""
    return max(1, min(round(seconds * 1000), 2**31 - 1))
