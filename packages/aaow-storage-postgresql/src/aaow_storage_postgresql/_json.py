"""JSON in PostgreSQL: text as `jsonb` can hold it, and the type that sorts it."""

from typing import Any

import sqlalchemy as sa

_CODES = {0: "\1\2\2", 1: "\1\2\3", 2: "\1\3\2", 3: "\1\3\3"}
"""What `aaow_json` puts for the characters that these are: U+0000 cannot be in `jsonb`, the others make room for it."""


def json_text(text: str) -> str:
    """Return a text or a key as it stands in the `jsonb` that `aaow_json` makes."""
    return text.translate(_CODES)


def functions_of(schema: str | None) -> Any:
    """Return what makes calls of the functions in a schema, None for the search path's."""
    return sa.func if schema is None else getattr(sa.func, schema)


class JSONKey(sa.types.UserDefinedType[Any]):
    """What sorts JSON as lists do, bound as the JSON that it is of."""

    cache_ok = True

    def __init__(self, schema: str | None) -> None:
        self.schema = schema

    def get_col_spec(self, **options: Any) -> str:
        """Return the name of the type."""
        return "aaow_json_key"

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        """Make the key of the JSON that is bound."""
        functions = functions_of(self.schema)
        text = sa.cast(sa.type_coerce(bindvalue, sa.Text), sa.Text)
        key: sa.ColumnElement[Any] = functions.aaow_json_sort_key(functions.aaow_json(text), type_=self)
        return key
