"""What a server's session is set to, whatever roles, databases, URLs and environment variables say."""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import SQLConnection

_LOST_WITHIN = {
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's parameters for when a connection is lost whose other end is gone: after half a minute."""
_SINCE_17 = 170_000


def connection_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of libpq for a connection besides those that the URL gives.

    The encoding of a session is always that of the store.
    """
    return {**{name: value for name, value in _LOST_WITHIN.items() if name not in given}, "client_encoding": "UTF8"}


def set_session(connection: SQLConnection, settings: Settings, server_version: int) -> None:
    """Set the session of a connection to what the statements of this backend rely on, in one statement."""
    wanted = {
        **_of_transactions(settings),
        "default_transaction_isolation": "read committed",
        "idle_session_timeout": "0",
        "TimeZone": "UTC",
        "DateStyle": "ISO",
    }
    if server_version >= _SINCE_17:
        wanted["transaction_timeout"] = "0"
    connection.row(_setting(tuple(wanted), is_local=False), wanted)


def set_transaction(connection: SQLConnection, settings: Settings) -> None:
    """Set what the transaction that is open relies on until it ends, for a session that is shared with others."""
    wanted = _of_transactions(settings)
    connection.row(_setting(tuple(wanted), is_local=True), wanted)


def limit_statements(connection: SQLConnection, longest: float) -> None:
    """Let no statement of the transaction that is open take longer, in seconds."""
    wanted = {"statement_timeout": _milliseconds(longest)}
    connection.row(_setting(tuple(wanted), is_local=True), wanted)


def _of_transactions(settings: Settings) -> dict[str, str]:
    """Return what a transaction needs: how long it waits is the adapter's own to say, unless that says nothing."""
    wanted = {"idle_in_transaction_session_timeout": "0", "standard_conforming_strings": "on"}
    if settings.statement_timeout is not None:
        wanted |= {"statement_timeout": _milliseconds(settings.statement_timeout), "lock_timeout": "0"}
    if settings.schema is not None:
        wanted["search_path"] = '"{}"'.format(settings.schema.replace('"', '""'))
    return wanted


@functools.cache
def _setting(names: tuple[str, ...], *, is_local: bool) -> sa.Select[Any]:
    local = sa.true() if is_local else sa.false()
    return sa.select(*(sa.func.set_config(name, sa.bindparam(name, type_=sa.Text), local) for name in names))


def _milliseconds(seconds: float) -> str:
    return str(max(1, min(round(seconds * 1000), 2**31 - 1)))
