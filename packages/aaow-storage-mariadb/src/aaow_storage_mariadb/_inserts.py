"""INSERT with the methods by which the SQL package names conflicts, as MariaDB says it: ON DUPLICATE KEY UPDATE.

MariaDB has neither a target nor a WHERE there, so `where` is refused; see `Dialect.upserts_where`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import mysql


class Insert(mysql.Insert):
    """An INSERT into a table, whose primary key is the only thing that rows are in conflict by."""

    inherit_cache = False  # the statements are compiled once each, by identity

    @property
    def excluded(self) -> Any:
        """The columns of the row that was to be inserted."""
        return self.inserted

    def on_conflict_do_update(
        self, index_elements: Sequence[str], set_: Mapping[str, Any], where: sa.ColumnElement[bool] | None = None
    ) -> "Insert":
        """Return the statement that replaces those columns of the row that is there."""
        del index_elements
        if where is not None:
            raise NotImplementedError("MariaDB has no WHERE for what an upsert replaces")
        return self.on_duplicate_key_update({**set_} or self._same())

    def on_conflict_do_nothing(self, index_elements: Sequence[str] | None = None) -> "Insert":
        """Return the statement that leaves a row that is there as it is. IGNORE would hide other errors, too."""
        del index_elements
        return self.on_duplicate_key_update(self._same())

    def _same(self) -> dict[str, Any]:
        table = cast("sa.Table", self.table)
        column = next(iter(table.primary_key.columns))
        return {column.name: column}


def insert(table: sa.Table) -> Insert:
    """Return an INSERT into a table."""
    return Insert(table)
