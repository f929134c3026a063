"""The history of the schema, as revisions of alembic's operations."""
