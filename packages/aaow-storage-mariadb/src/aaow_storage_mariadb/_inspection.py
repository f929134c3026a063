"""Looking at a store in MariaDB: its sizes, its durability, and what the server can check. Nothing is changed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import evolve

from aaow_storage.authoring import Durability, MaintenanceFinding, StoreSizes, TableSize, storage_errors_alone
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._server import MariaDBServer
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb._upgrade import OWN_TABLES
from aaow_storage_sql import HEAD, VERSION_TABLE, Opening, metadata, open_connection, stored_version

TABLES = {*metadata.tables, VERSION_TABLE, *(table.name for table in OWN_TABLES)}
MIN_NODES = 3
_SIZES = """
    SELECT TABLE_NAME, COALESCE(DATA_LENGTH, 0), COALESCE(INDEX_LENGTH, 0), COALESCE(DATA_FREE, 0)
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'
"""
_SETTINGS = """
    SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES
    WHERE VARIABLE_NAME IN ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog',
                            'rpl_semi_sync_master_enabled', 'version', 'wsrep_on')
    UNION ALL
    SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
    WHERE VARIABLE_NAME IN ('wsrep_cluster_size', 'wsrep_cluster_status')
"""
_REMEDY = "restore a backup that was verified, or copy what can be read with `aaow-storage copy`"


@contextmanager
def opened(settings: Settings, opening: Opening) -> Iterator[MariaDBConnection]:
    """Yield a connection without a limit of time, except for locks on whole tables."""
    server = MariaDBServer(evolve(settings, statement_timeout=None))
    with open_connection(server.connect, opening) as connection:
        connection.command(f"SET SESSION lock_wait_timeout = {max(1, round(settings.acquire_timeout))}")
        yield connection


def fetch(connection: MariaDBConnection, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with storage_errors_alone(connection.dialect.to_storage_error):
        rows: list[tuple[Any, ...]] = [*connection.execute(query, ()).fetchall()]
    return rows


def sizes_of(connection: MariaDBConnection) -> StoreSizes:
    """Return the sizes of the tables as the statistics of the server have them."""
    rows = [row for row in fetch(connection, _SIZES) if row[0] in TABLES]
    tables = [TableSize(name=name, table_bytes=int(size), index_bytes=int(indexes)) for name, size, indexes, _ in rows]
    tables.sort(key=lambda each: (-each.table_bytes - each.index_bytes, each.name))
    free = sum(int(row[-1]) for row in rows)
    total = free + sum(each.table_bytes + each.index_bytes for each in tables)
    return StoreSizes(total_bytes=total, free_bytes=free, tables=tuple(tables))


def durability_of(connection: MariaDBConnection) -> Durability:
    """Return what decides whether a commit survives, and warnings."""
    found: dict[str, str] = dict(sorted(fetch(connection, _SETTINGS)))
    is_cluster = found.get("wsrep_on") == "ON"
    if not is_cluster:
        found = {name: value for name, value in found.items() if not name.startswith("wsrep_cluster")}
    warnings = [*_warnings_of_flushing(found, is_cluster=is_cluster)]
    if found.get("innodb_doublewrite") == "OFF":
        warnings.append("innodb_doublewrite is off: a crash of the machine may leave torn pages; switch it on")
    if is_cluster and int(found.get("wsrep_cluster_size", "0")) < MIN_NODES:
        warnings.append(f"the cluster has less than {MIN_NODES} nodes: if one fails, the others may stop; start more")
    if not is_cluster and found.get("rpl_semi_sync_master_enabled") != "ON":
        warnings.append("no other server confirms commits: a failover may lose the last ones; use a Galera cluster")
    version = stored_version(connection)
    if version != HEAD:
        warnings.append(f"the schema is {version or 'missing'}, and this release needs {HEAD}: see `migrate status`")
    return Durability(settings=found, warnings=tuple(warnings))


def _warnings_of_flushing(found: dict[str, str], *, is_cluster: bool) -> Iterator[str]:
    flush = found.get("innodb_flush_log_at_trx_commit")
    if flush in {"0", "2"}:
        crash = "the server" if flush == "0" else "the machine"
        if is_cluster:
            crash = "all nodes at once"
        yield f"innodb_flush_log_at_trx_commit is {flush}: a crash of {crash} loses the last commits; set it to 1"


def check_tables(connection: MariaDBConnection, place: str) -> Sequence[MaintenanceFinding]:
    """Return what the server finds wrong in the tables and their indexes, all of which it reads."""
    findings = []
    for name in sorted(each.name for each in sizes_of(connection).tables):
        for _, _, kind, text in fetch(connection, f"CHECK TABLE {name} EXTENDED"):
            if kind in {"error", "warning"} or (kind == "status" and text != "OK"):
                findings.append(MaintenanceFinding(problem=str(text), place=f"{place}, table {name}", remedy=_REMEDY))
    return findings


def rebuild_tables(connection: MariaDBConnection) -> int:
    """Write the tables anew, without what is free inside; return how many bytes smaller they are."""
    names = ", ".join(each.name for each in sizes_of(connection).tables)
    if not names:
        return 0
    fetch(connection, f"ANALYZE TABLE {names}")  # so that the sizes are those of now
    before = sizes_of(connection).total_bytes
    fetch(connection, f"OPTIMIZE TABLE {names}")
    return before - sizes_of(connection).total_bytes
