"""JSON that filters of PostgreSQL can look into; other databases need nothing.

`aaow_json` makes `jsonb` of the text of a document. `jsonb` cannot hold U+0000, so U+0000 to U+0003 become three of
U+0001 to U+0003 each: distinct, in the same order, and found in no other place. `aaow_json_sort_key` makes what sorts
as lists of the contract do.
"""

from typing import TYPE_CHECKING

from aaow_storage_sql._migrations.connection import connection_of
from aaow_storage_sql._migrations.constraints import is_postgresql

if TYPE_CHECKING:
    from alembic.operations import Operations

revision = "0004"

NOT_ESCAPED = r"(?<!\\)((?:\\\\)*)"
CODES = (("2", "2"), ("2", "3"), ("3", "2"), ("3", "3"))


def escaped() -> str:
    """Return the expression for the text of a document without the four characters."""
    expression = rf"regexp_replace(body, '{NOT_ESCAPED}\\u000([0-3])', '\1\\u0001\\u001\2', 'g')"
    for number, (first, second) in enumerate(CODES):
        found = rf"{NOT_ESCAPED}\\u0001\\u001{number}"
        expression = rf"regexp_replace({expression}, '{found}', '\1\\u0001\\u000{first}\\u000{second}', 'g')"
    return expression


FUNCTIONS = (
    rf"""
    CREATE FUNCTION aaow_json(body text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN strpos(body, '\u000') = 0 THEN body::jsonb ELSE ({escaped()})::jsonb END
    """,
    'CREATE TYPE aaow_json_key AS (rank smallint, number numeric, body text COLLATE "C")',
    """
    CREATE FUNCTION aaow_json_sort_key(value jsonb) RETURNS aaow_json_key LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE jsonb_typeof(value)
        WHEN 'boolean' THEN ROW(1, value::boolean::integer::numeric, '')::aaow_json_key
        WHEN 'number' THEN ROW(2, value::numeric, '')::aaow_json_key
        WHEN 'string' THEN ROW(3, 0, value #>> '{}')::aaow_json_key
        WHEN 'array' THEN ROW(5, 0, value::text)::aaow_json_key
        WHEN 'object' THEN ROW(6, 0, value::text)::aaow_json_key
    END
    """,
)
INDEXED = ("sessions", "workflows")


def upgrade(op: "Operations") -> None:
    """Add the functions, and the indexes on metadata; one on a table that holds records is for who can wait for it."""
    connection = connection_of(op)
    if not is_postgresql(connection):
        return
    for function in FUNCTIONS:
        connection.command(function)
    for table in INDEXED:
        if connection.command(f"SELECT 1 FROM {table} LIMIT 1") is None:  # noqa: S608 - a name of ours
            index = f"CREATE INDEX ix_{table}_metadata ON {table} USING gin (aaow_json(metadata) jsonb_path_ops)"
            connection.command(index)


def downgrade(op: "Operations") -> None:
    """Drop them."""
    connection = connection_of(op)
    if not is_postgresql(connection):
        return
    for table in INDEXED:
        op.drop_index(f"ix_{table}_metadata", if_exists=True)
    connection.command("DROP FUNCTION aaow_json_sort_key(jsonb)")
    connection.command("DROP TYPE aaow_json_key")
    connection.command("DROP FUNCTION aaow_json(text)")
