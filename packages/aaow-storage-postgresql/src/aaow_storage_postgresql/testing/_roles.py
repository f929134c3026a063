"""A role and environment variables whose session settings would break a careless backend."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

_ROLE = "hostile"
_OF_ROLE: Mapping[str, str] = MappingProxyType(
    {
        "client_encoding": "LATIN1",
        "search_path": "elsewhere, public",
        "standard_conforming_strings": "off",
        "lock_timeout": "1ms",
        "statement_timeout": "400ms",
        "idle_in_transaction_session_timeout": "50ms",
        "idle_session_timeout": "50ms",
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
        "DateStyle": "SQL, DMY",
        "IntervalStyle": "sql_standard",
        "TimeZone": "Pacific/Chatham",
        "bytea_output": "escape",
        "extra_float_digits": "-15",
        "array_nulls": "off",
        "transform_null_equals": "on",
        "quote_all_identifiers": "on",
        "row_security": "off",
        "xmloption": "document",
        "escape_string_warning": "off",
        "enable_seqscan": "off",
        "enable_indexscan": "off",
        "plan_cache_mode": "force_generic_plan",
    }
)
HOSTILE_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "PGOPTIONS": "-c lock_timeout=1ms -c statement_timeout=390ms -c client_encoding=LATIN2",
        "PGCLIENTENCODING": "EUC_JP",
        "PGTZ": "Asia/Kathmandu",
        "PGDATESTYLE": "German",
    }
)
"""Environment variables of libpq."""


def hostile_url(server: str, database: str) -> str:
    """Return the URL of a database for the role `hostile`, which is created if it is missing, and owns the database.

    An empty schema comes first in its search path.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ROLE]).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(_ROLE)))
            for name, value in _OF_ROLE.items():
                given = sql.SQL(value) if name == "search_path" else sql.Literal(value)
                setting = sql.SQL("ALTER ROLE {} SET {} = {}").format(sql.Identifier(_ROLE), sql.SQL(name), given)
                connection.execute(setting)
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(*map(sql.Identifier, (database, _ROLE))))
    own = urlsplit(server)._replace(path=f"/{database}")
    with psycopg.connect(urlunsplit(own), autocommit=True) as connection:
        for schema in ("elsewhere", "public"):
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            granted = sql.SQL("GRANT ALL ON SCHEMA {} TO {}").format(*map(sql.Identifier, (schema, _ROLE)))
            connection.execute(granted)
    return urlunsplit(own._replace(netloc=f"{_ROLE}@{own.hostname}:{own.port}"))
