"""A list of values bound as one JSON parameter, which SQLite reads as a table."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from aaow_storage.authoring import dumps


class JSONArray(sa.types.TypeDecorator[Any]):
    """A list of values, each encoded as in a column of the item type, bound as a JSON array."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str]:
        """Return the function that encodes the list."""
        encode: Any = self.item.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)
        return lambda values: dumps([*map(encode, values)])
