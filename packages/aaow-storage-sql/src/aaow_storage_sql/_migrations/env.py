"""Alembic's entry: runs the revisions on the connection it is handed, inside the transaction that is open there."""

from alembic import context

from aaow_storage_sql._schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=False,
)
context.run_migrations()
