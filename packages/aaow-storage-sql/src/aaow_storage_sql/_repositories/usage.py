"""Sums of the usage, costs and durations of LLM executions, in groups."""

import functools
from typing import Any

import sqlalchemy as sa

from aaow_storage import UsageSummary
from aaow_storage.authoring import TOKEN_FIGURES, UsageQuery, UsageSums, day_of, hour_of
from aaow_storage.errors import StorageError
from aaow_storage_sql._operation import operation
from aaow_storage_sql._schema.tables import llm_executions, sessions
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.select import Grouping, Source, plan_groups

_EXECUTIONS = Source(sa.select(llm_executions.c.id), dict(llm_executions.c))
_WITH_SESSION = Source(
    sa.select(llm_executions.c.id).join(sessions, sessions.c.id == llm_executions.c.session_id), dict(llm_executions.c)
)
_TIMES = {"day": day_of, "hour": hour_of}
_PIECE = 2**32
"""Sums of large figures are made of two pieces: those of the multiples of this number, and those of the rests."""


@operation(writes=False)
def summarize(connection: SQLConnection, query: UsageQuery) -> list[UsageSummary]:
    """Return the summary of each group of the executions that a plan chooses."""
    try:
        rows = _rows(connection, query, in_pieces=False)
    except StorageError as error:
        if not connection.dialect.is_integer_overflow(error):
            raise
        rows = _rows(connection, query, in_pieces=True)
    sums = UsageSums(query.group_by)
    for row in rows:
        _add(sums, query.group_by, row)
    return sums.summaries()


def _rows(connection: SQLConnection, query: UsageQuery, *, in_pieces: bool) -> list[Row]:
    source = _WITH_SESSION if "workflow_id" in query.group_by else _EXECUTIONS
    grouping = _grouping(connection.dialect, query.group_by, in_pieces=in_pieces)
    return plan_groups(connection, source, query.plan, grouping)


@functools.lru_cache(maxsize=256)
def _grouping(dialect: Dialect, group_by: tuple[str, ...], *, in_pieces: bool) -> Grouping:
    """Return the keys and aggregates of a statement; it has a group for each currency in each group."""
    of = llm_executions.c
    one: sa.ColumnElement[int] = sa.literal_column("1")
    piece: sa.ColumnElement[int] = sa.literal_column(str(_PIECE))
    sums: list[sa.ColumnElement[Any]] = []
    for name in TOKEN_FIGURES:
        sums.append(sa.func.sum(of[name] % piece if in_pieces else of[name]))
        sums.append(sa.func.sum(of[name].op("/")(piece)) if in_pieces else sa.null())
    return Grouping(
        keys=(*(_key(dialect, name) for name in group_by), of.currency),
        aggregates=(
            sa.func.count(),
            sa.func.count(of.success),
            sa.func.count(sa.case((of.success.is_(sa.false()), one))),
            sa.func.count(of.total_tokens),
            dialect.sum_of_amounts(of.cost),
            dialect.joined(dialect.microseconds_between(of.timestamp, of.completed_at)),
            *sums,
        ),
    )


def _key(dialect: Dialect, name: str) -> sa.ColumnElement[Any]:
    if name == "workflow_id":
        return sessions.c.workflow_id
    return dialect.start_of(llm_executions.c.timestamp, name) if name in _TIMES else llm_executions.c[name]


def _add(sums: UsageSums, group_by: tuple[str, ...], row: Row) -> None:
    """Add the row of a group to the sums of its keys."""
    keys, (currency, count, ended, failed, with_usage, cost, durations, *figures) = (
        row[: len(group_by)],
        row[len(group_by) :],
    )
    group = sums.group(_TIMES[name](key) if name in _TIMES else key for name, key in zip(group_by, keys, strict=True))
    group.executions += count
    group.failed += failed
    group.running += count - ended
    group.executions_without_usage += count - with_usage
    pairs = zip(TOKEN_FIGURES, figures[::2], figures[1::2], strict=True)
    group.add_tokens({name: None if low is None else int(low) + _PIECE * int(high or 0) for name, low, high in pairs})
    if cost is not None and currency is not None:
        group.add_cost(currency, cost)
    if durations is not None:
        group.durations.extend(map(int, durations.split(",")))
