"""The value at a path in JSON, as an expression of SQLite's own that can be indexed.

SQLite uses an index on an expression only for statements with that very expression, so both take it from here.
"""

from typing import Any

import sqlalchemy as sa

from aaow_storage_sqlite._index_paths import has_plain_keys


def json_value(column: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any] | None:
    """Return the expression for the value at a path in a JSON column, or None for a path that cannot be indexed."""
    if not has_plain_keys(path):
        return None
    text = "$" + "".join(f'."{key}"' for key in path)
    return sa.func.json_extract(sa.type_coerce(column, sa.Text), sa.literal_column(f"'{text}'"))
