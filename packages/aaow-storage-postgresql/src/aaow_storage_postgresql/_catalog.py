"""PostgreSQL's system catalog: the tables that statements of this backend read, and the quoting of names."""

import sqlalchemy as sa


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *map(sa.column, columns), schema="pg_catalog")


classes = _table("pg_class", "oid", "relname", "relnamespace", "relkind")
databases = _table("pg_database", "oid", "datname")
indexes = _table("pg_index", "indexrelid", "indisvalid")
locks = _table("pg_locks", "locktype", "database", "classid", "objid", "objsubid", "pid", "granted")
namespaces = _table("pg_namespace", "oid", "nspname")
sessions = _table("pg_stat_activity", "pid", "state", "wait_event_type", "application_name")
settings = _table("pg_settings", "name", "setting")

is_in_schema = namespaces.c.nspname == sa.func.coalesce(sa.bindparam("schema", type_=sa.Text), sa.func.current_schema())
"""The condition that a namespace is the one of the parameter `schema`; NULL stands for the current schema."""


def quote(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"{}"'.format(name.replace('"', '""'))


def quote_in_command(name: str) -> str:
    """Return a name as a quoted identifier in the text of a command, in which psycopg takes `%` for a placeholder."""
    return quote(name).replace("%", "%%")
