"""The steps that create a table: where the indexes can be a part of it, one step."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from aaow_storage_sql._migrations.steps import Step
from aaow_storage_sql._schema.families import MARIADB, is_for, is_of

_OPTIONS_OF_MARIADB = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"


def creating_table(table: sa.Table, dialect: sa.Dialect) -> Iterator[Step]:
    """Yield the steps that create a table with its indexes."""
    text = str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
    indexes = [index for index in sorted(table.indexes, key=lambda each: str(each.name)) if is_for(index, dialect)]
    if is_of(dialect, MARIADB):
        parts = "".join(f", \n\t{_as_part(index, dialect)}" for index in indexes)
        yield Step(f"{text.removesuffix(')').rstrip()}{parts}\n) {_OPTIONS_OF_MARIADB}")
        return
    yield Step(text)
    for index in indexes:
        yield Step(str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)))


def _as_part(index: sa.Index, dialect: sa.Dialect) -> str:
    """Return the index as a part of CREATE TABLE."""
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in index.columns)
    return f"{'UNIQUE ' if index.unique else ''}INDEX {quote(str(index.name))} ({names})"
