"""JSON in PostgreSQL: escaping for `jsonb`, calls of the schema's functions, and the type of sort keys."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_CODES = {0: "\1\2\2", 1: "\1\2\3", 2: "\1\3\2", 3: "\1\3\3"}
"""The escapes that `aaow_json` writes: `jsonb` cannot hold U+0000, and its escape uses the other three characters."""


def json_text(text: str) -> str:
    """Escape a text or a key as `aaow_json` does."""
    return text.translate(_CODES)


class SchemaFunction(FunctionElement[Any]):
    """A call of a function that a migration created; the schema None leaves it to the search path."""

    inherit_cache = False

    def __init__(self, schema: str | None, name: str, argument: sa.ColumnElement[Any], type_: Any) -> None:
        super().__init__(argument)
        self.schema = schema
        self.function = name
        self.type = type_


@compiles(SchemaFunction)
def _call(element: SchemaFunction, compiler: Any, **options: Any) -> str:
    schema = "" if element.schema is None else f"{compiler.preparer.quote_identifier(element.schema)}."
    return f"{schema}{element.function}({compiler.process(element.clauses, **options)})"


def as_jsonb(schema: str | None, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression that converts the text of a document to `jsonb`."""
    return SchemaFunction(schema, "aaow_json", text, JSONB())


class JSONAt(FunctionElement[Any]):
    """The value at a path of keys in a `jsonb`. One element for any number of keys, so that expressions do not nest."""

    inherit_cache = False
    type = JSONB()


@compiles(JSONAt)
def _arrows(element: JSONAt, compiler: Any, **options: Any) -> str:
    return "(" + " -> ".join(compiler.process(clause, **options) for clause in element.clauses) + ")"


def json_at(document: sa.ColumnElement[Any], path: Iterable[str]) -> sa.ColumnElement[Any]:
    """Return the expression for the value at a path in a `jsonb`; it is NULL if there is none."""
    return JSONAt(document, *(sa.literal(json_text(key), sa.Text) for key in path))


def sort_key(schema: str | None, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression whose order is the order of JSON values in lists."""
    return SchemaFunction(schema, "aaow_json_sort_key", value, JSONKey(schema))


class JSONKey(sa.types.UserDefinedType[Any]):
    """The type of sort keys. A parameter of it is bound as JSON text."""

    cache_ok = True

    def __init__(self, schema: str | None) -> None:
        self.schema = schema

    def get_col_spec(self, **options: Any) -> str:
        """Return the name of the type."""
        return "aaow_json_key"

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        """Convert the bound JSON to its sort key."""
        text = sa.cast(sa.type_coerce(bindvalue, sa.Text), sa.Text)
        return sort_key(self.schema, as_jsonb(self.schema, text))
