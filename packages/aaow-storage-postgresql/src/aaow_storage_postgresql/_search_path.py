"""The schema of a store whose adapter names none: it is looked up in the search path."""

import sqlalchemy as sa
from attrs import evolve

from aaow_storage.errors import StorageError
from aaow_storage_postgresql._catalog import classes, namespaces
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_sql import VERSION_TABLE

_path = (
    sa.func.unnest(sa.func.current_schemas(sa.false()))
    .table_valued("name", with_ordinality="position")
    .render_derived("path")
)
_CURRENT_SCHEMA = (
    sa.select(sa.cast(_path.c.name, sa.Text))
    .select_from(_path)
    .outerjoin(namespaces, namespaces.c.nspname == _path.c.name)
    .outerjoin(
        classes,
        sa.and_(
            classes.c.relnamespace == namespaces.c.oid,
            classes.c.relname == sa.literal_column(f"'{VERSION_TABLE}'"),
        ),
    )
    .order_by(classes.c.oid.is_(None), _path.c.position)
    .limit(sa.literal_column("1"))
)
"""The first schema of the search path that holds a store; if none does, the first."""


def resolve_schema(settings: Settings, connection: PostgreSQLConnection) -> Settings:
    """Return the settings with the schema that holds the store, or will hold it.

    The search path is read here only, since it may differ on the next connection.

    Raises:
        StorageError: the search path has no usable schema.
    """
    if settings.schema is not None:
        return settings
    row = connection.row(_CURRENT_SCHEMA)
    if row is None:
        problem = "the search path has no schema that exists and may be used; name one with the option schema="
        raise StorageError(f"{settings.place}: {problem}")
    return evolve(settings, schema=row[0])
