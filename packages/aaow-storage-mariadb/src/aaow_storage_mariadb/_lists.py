"""Many values as one parameter: a JSON array, which MariaDB reads as a table."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import FieldKind, dumps

_TEXT = "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
_COLUMNS = {
    FieldKind.TEXT: _TEXT,
    FieldKind.ENUM: _TEXT,
    FieldKind.INSTANT: "BIGINT",
    FieldKind.NUMBER: "DOUBLE",
    FieldKind.COUNT: "BIGINT",
    FieldKind.AMOUNT: "DECIMAL(65,18)",
    FieldKind.BOOL: "TINYINT",
}


class _Array(sa.types.TypeDecorator[Any]):
    """A list of values of a type, as the text of a JSON array."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: FieldKind, element: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.kind = kind
        self.element = element

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str]:
        """Return the function that encodes a list."""
        convert = self.element.dialect_impl(dialect).bind_processor(dialect)

        def encoded(values: Any) -> str:
            converted = values if convert is None else map(convert, values)
            if self.kind is FieldKind.AMOUNT:
                return f"[{','.join(format(value, 'f') for value in converted)}]"
            return dumps([*converted])

        return encoded


def listed_as(kind: FieldKind, parameter: str, element: sa.types.TypeEngine[Any]) -> sa.FromClause:
    """Return a table of the values that are bound as one parameter, a list, in the column `value`."""
    array = f"JSON_TABLE(:{parameter}, '$[*]' COLUMNS (value {_COLUMNS[kind]} PATH '$')) AS elements"
    bound = sa.bindparam(parameter, type_=_Array(kind, element))
    return sa.text(f"SELECT value FROM {array}").bindparams(bound).columns(value=element).subquery(f"of_{parameter}")  # noqa: S608 - no value of a caller
