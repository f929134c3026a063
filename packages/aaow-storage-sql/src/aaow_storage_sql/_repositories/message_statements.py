"""The statements on the messages of inputs: storing them beside an execution, and reading them."""

import functools
from typing import Any

import sqlalchemy as sa

from aaow_storage_sql._schema.tables import llm_executions, messages, sessions
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.insert_statements import (
    Insert,
    Names,
    bind_for,
    columns_of,
    parent_exists,
    replacing,
)

COLUMNS = ("session_id", "digest", "previous", "body")
_SESSION = bind_for(messages.c.session_id, "session_id")
_LAST_STORED = sa.bindparam("last_stored", type_=messages.c.digest.type)

EXISTS = sa.select(sa.literal(1)).where(messages.c.session_id == _SESSION, messages.c.digest == _LAST_STORED)
"""Finds the row of a session that ends with the message `last_stored`."""

DIGESTS = sa.select(messages.c.digest).where(messages.c.session_id == _SESSION)
"""Selects the digests of all rows of a session."""


@functools.cache
def save_after(insert: Insert, names: Names) -> Any:
    """Return the statement that saves an execution of those columns if its session, and `last_stored`, are stored."""
    return _save_after(insert, names)


@functools.cache
def save_with_row(insert: Insert, names: Names) -> Any:
    """Return the statement that does the same, and stores the row of messages that follows `last_stored`.

    The parameters of that row are those of the execution, and `previous` and `body`.
    """
    values = [
        _SESSION,
        bind_for(messages.c.digest, "input_digest"),
        _LAST_STORED,
        bind_for(messages.c.body, "body"),
    ]
    is_session = sa.select(sa.literal(1)).where(sessions.c.id == _SESSION).exists()
    added = insert(messages).from_select(COLUMNS, sa.select(*values).where(is_session, EXISTS.exists()))
    return _save_after(insert, names).add_cte(added.on_conflict_do_nothing().cte("added"))


def _save_after(insert: Insert, names: Names) -> Any:
    columns = columns_of(llm_executions, names)
    parents = [parent_exists(column) for column in columns if column.foreign_keys]
    values = sa.select(*(bind_for(column, column.name) for column in columns)).where(*parents, EXISTS.exists())
    statement = insert(llm_executions).from_select([column.name for column in columns], values)
    others = [each for each in llm_executions.columns if not each.primary_key]
    return replacing(statement, llm_executions, others)


@functools.cache
def needed_rows(dialect: Dialect) -> Any:
    """Return the SELECT of the rows of messages that the inputs of executions, whose ids are listed, consist of.

    Each row comes once, however many of them need it.
    """
    listed = dialect.listed("ids")
    last = llm_executions.join(
        messages,
        sa.and_(
            messages.c.session_id == llm_executions.c.session_id, messages.c.digest == llm_executions.c.input_digest
        ),
    )
    key = (messages.c.session_id, messages.c.digest, messages.c.previous)
    needed = (
        sa.select(*key)
        .select_from(last)
        .where(llm_executions.c.id.in_(sa.select(listed.c.value)))
        .cte("needed", recursive=True)
    )
    before = messages.join(
        needed, sa.and_(messages.c.session_id == needed.c.session_id, messages.c.digest == needed.c.previous)
    )
    needed = needed.union(sa.select(*key).select_from(before))
    return sa.select(*key, messages.c.body).select_from(
        messages.join(
            needed, sa.and_(messages.c.session_id == needed.c.session_id, messages.c.digest == needed.c.digest)
        )
    )


HAS_INPUT: sa.ColumnElement[Any] = sa.case(
    (llm_executions.c.input.is_not(None), sa.literal_column("1")),
    (llm_executions.c.input_digest.is_not(None), sa.literal_column("1")),
)
"""NULL if and only if the execution has no input."""
WHETHER_NULL = {"input": HAS_INPUT}
"""Of executions: what is compared with NULL in the place of a column."""
