"""The lock of migrations: an advisory lock per schema, held by at most one transaction on the server."""

import hashlib

import sqlalchemy as sa
from attrs import frozen

from aaow_storage_postgresql._catalog import databases, locks, sessions
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import SQLConnection

_HALF = 2**32
_LOCK = sa.select(sa.func.pg_try_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger), type_=sa.Boolean))
_is_running = sa.and_(sessions.c.state == "active", sa.func.coalesce(sessions.c.wait_event_type, "") != "Lock")
_HOLDER = (
    sa.select(
        sa.cast(locks.c.pid, sa.BigInteger),
        sa.func.coalesce(_is_running, sa.false(), type_=sa.Boolean),
        sa.cast(sa.func.coalesce(sessions.c.state, "unknown"), sa.Text),
    )
    .join_from(locks, sessions, sessions.c.pid == locks.c.pid)
    .join(databases, databases.c.oid == locks.c.database)
    .where(
        locks.c.locktype == "advisory",
        locks.c.granted,
        databases.c.datname == sa.func.current_database(),
        sa.cast(locks.c.classid, sa.BigInteger) == sa.bindparam("high", type_=sa.BigInteger),
        sa.cast(locks.c.objid, sa.BigInteger) == sa.bindparam("low", type_=sa.BigInteger),
        locks.c.objsubid == sa.literal_column("1"),
    )
)
"""`pg_locks` shows the two halves of the key as `classid` and `objid`."""


@frozen
class Holder:
    """The server process that holds the lock."""

    pid: int | None = None
    is_running: bool = False
    """Whether it executes a statement that does not wait for a lock."""
    state: str = "unknown"
    """As in `pg_stat_activity`, such as `idle in transaction`."""


def try_lock(connection: SQLConnection, settings: Settings) -> bool:
    """Take the lock until the open transaction ends; return False if another process holds it."""
    row = connection.row(_LOCK, {"key": _key(settings.schema)})
    return row is not None and row[0]


def find_holder(connection: SQLConnection, settings: Settings) -> Holder:
    """Return the process that holds the lock."""
    high, low = divmod(_key(settings.schema) % _HALF**2, _HALF)
    row = connection.row(_HOLDER, {"high": high, "low": low})
    return Holder() if row is None else Holder(*row)


def _key(schema: str | None) -> int:
    name = f"aaow-storage {schema or ''}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
