"""Private PostgreSQL servers and databases for tests, made with the PostgreSQL that is installed."""

from aaow_storage_postgresql.testing._binaries import NoPostgreSQLError, folder_of_binaries
from aaow_storage_postgresql.testing._databases import URL_VARIABLE, temporary_database
from aaow_storage_postgresql.testing._poolers import NoPgBouncerError, pgbouncer_of
from aaow_storage_postgresql.testing._roles import HOSTILE_ENVIRONMENT, hostile_url
from aaow_storage_postgresql.testing._servers import Server, private_server, standby_of
from aaow_storage_sql.testing import NotInstalledError, Proxy, proxy_of, skipped_where_missing

__all__ = [
    "HOSTILE_ENVIRONMENT",
    "URL_VARIABLE",
    "NoPgBouncerError",
    "NoPostgreSQLError",
    "NotInstalledError",
    "Proxy",
    "Server",
    "folder_of_binaries",
    "hostile_url",
    "pgbouncer_of",
    "private_server",
    "proxy_of",
    "skipped_where_missing",
    "standby_of",
    "temporary_database",
]
