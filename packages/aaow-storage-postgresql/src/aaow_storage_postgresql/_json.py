"""JSON in PostgreSQL: text as `jsonb` can hold it, the functions of the schema, and the type that sorts it."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_CODES = {0: "\1\2\2", 1: "\1\2\3", 2: "\1\3\2", 3: "\1\3\3"}
"""What `aaow_json` puts for the characters that these are: U+0000 cannot be in `jsonb`, the others make room for it."""


def json_text(text: str) -> str:
    """Return a text or a key as it stands in the `jsonb` that `aaow_json` makes."""
    return text.translate(_CODES)


class SchemaFunction(FunctionElement[Any]):
    """A call of a function that a migration made, in its schema; None is the search path's."""

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
    """Return the expression for the text of a document as `jsonb`."""
    return SchemaFunction(schema, "aaow_json", text, JSONB())


class JSONAt(FunctionElement[Any]):
    """What lies at a path of keys in a `jsonb`: one element however many keys there are, so that none nest."""

    inherit_cache = False
    type = JSONB()


@compiles(JSONAt)
def _arrows(element: JSONAt, compiler: Any, **options: Any) -> str:
    return "(" + " -> ".join(compiler.process(clause, **options) for clause in element.clauses) + ")"


def json_at(document: sa.ColumnElement[Any], path: Iterable[str]) -> sa.ColumnElement[Any]:
    """Return the expression for what lies at a path in a `jsonb`; NULL where it leads nowhere."""
    return JSONAt(document, *(sa.literal(json_text(key), sa.Text) for key in path))


def sort_key(schema: str | None, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the expression that sorts a `jsonb` as lists sort it."""
    return SchemaFunction(schema, "aaow_json_sort_key", value, JSONKey(schema))


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
        text = sa.cast(sa.type_coerce(bindvalue, sa.Text), sa.Text)
        return sort_key(self.schema, as_jsonb(self.schema, text))
