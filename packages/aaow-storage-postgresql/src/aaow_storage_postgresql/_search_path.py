"""Which schema a store is in, where its adapter names none."""

import sqlalchemy as sa
from attrs import evolve

from aaow_storage.errors import StorageError
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import VERSION_TABLE

_classes = sa.table("pg_class", *map(sa.column, ("oid", "relname", "relnamespace")), schema="pg_catalog")
_namespaces = sa.table("pg_namespace", *map(sa.column, ("oid", "nspname")), schema="pg_catalog")
_path = (
    sa.func.unnest(sa.func.current_schemas(sa.false()))
    .table_valued("name", with_ordinality="position")
    .render_derived("path")
)
_IN_USE = (
    sa.select(sa.cast(_path.c.name, sa.Text))
    .select_from(_path)
    .outerjoin(_namespaces, _namespaces.c.nspname == _path.c.name)
    .outerjoin(
        _classes,
        sa.and_(
            _classes.c.relnamespace == _namespaces.c.oid,
            _classes.c.relname == sa.literal_column(f"'{VERSION_TABLE}'"),
        ),
    )
    .order_by(_classes.c.oid.is_(None), _path.c.position)
    .limit(sa.literal_column("1"))
)
"""The first schema of the search path that has a store, or else the first of all."""


def resolve_schema(settings: Settings, connection: PostgreSQLConnection) -> Settings:
    """Return the settings with the schema that the store is in, or is to be made in.

    An adapter looks at its search path here and never again: it may be another on the next connection, or tomorrow.

    Raises:
        StorageError: there is no schema in the search path.
    """
    if settings.schema is not None:
        return settings
    row = connection.row(_IN_USE)
    if row is None:
        problem = "no schema of the search path exists, or may be used; name one with the option schema"
        raise StorageError(f"{settings.place}: {problem}")
    return evolve(settings, schema=row[0])
