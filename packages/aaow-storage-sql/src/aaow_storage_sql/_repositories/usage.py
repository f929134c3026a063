"""Sums of the usage, costs and durations of LLM executions, in groups."""

import functools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aaow_storage import UsageSummary
from aaow_storage.authoring import TOKEN_FIGURES, UsageGroup, UsageQuery, UsageSums, day_of, hour_of
from aaow_storage.errors import CorruptDataError, StorageError
from aaow_storage_sql._operation import operation
from aaow_storage_sql._repositories.message_statements import WHETHER_NULL
from aaow_storage_sql._schema.tables import llm_executions, sessions
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.dialect import Dialect
from aaow_storage_sql._statements.plan import plan_groups
from aaow_storage_sql._statements.select import Grouping, Source

_EXECUTIONS = Source(sa.select(llm_executions.c.id), dict(llm_executions.c), WHETHER_NULL)
_WITH_SESSION = Source(
    sa.select(llm_executions.c.id).join(sessions, sessions.c.id == llm_executions.c.session_id),
    dict(llm_executions.c),
    WHETHER_NULL,
)
_TIMESTAMP = llm_executions.c.timestamp
_LAST = sa.bindparam("last", type_=_TIMESTAMP.type)
_IN_SLICE = (sa.bindparam("first", type_=_TIMESTAMP.type) <= _TIMESTAMP, _TIMESTAMP <= _LAST)
_SLICES = {
    each: Source(each.select.where(*_IN_SLICE), each.columns, each.whether_null)
    for each in (_EXECUTIONS, _WITH_SESSION)
}
_AFTER = Source(_EXECUTIONS.select.where(_TIMESTAMP > _LAST), _EXECUTIONS.columns, _EXECUTIONS.whether_null)
_EARLIEST = Grouping((), (sa.func.min(_TIMESTAMP, type_=_TIMESTAMP.type),))
_TIMES = {"day": day_of, "hour": hour_of}
_PIECE = 2**32
"""Sums of large figures are made of two pieces: those of the multiples of this number, and those of the rests."""


_SLICE_HOURS = 6
"""How many hours of executions are grouped at once: those of more are sorted outside of memory."""


@operation(writes=False)
def summarize(connection: SQLConnection, query: UsageQuery) -> list[UsageSummary]:
    """Return the summary of each group of the executions that a plan chooses."""
    try:
        sums = _sums(connection, query, in_pieces=False)
    except StorageError as error:
        if not connection.dialect.is_integer_overflow(error):
            raise
        sums = _sums(connection, query, in_pieces=True)
    return sums.summaries()


def _sums(connection: SQLConnection, query: UsageQuery, *, in_pieces: bool) -> UsageSums:
    sums = UsageSums(query.group_by)
    source = _WITH_SESSION if "workflow_id" in query.group_by else _EXECUTIONS
    names = query.group_by
    times = [name for name in names if name in _TIMES]
    if times and connection.dialect.sorts_to_group:
        others = tuple(name for name in names if name not in _TIMES)
        grouping = _grouping(connection.dialect, others, in_pieces=in_pieces)
        for first, last in _slices(connection, query, hours=1 if "hour" in times else _SLICE_HOURS):
            fixed = {name: _TIMES[name](first) for name in times}
            for row in plan_groups(connection, _SLICES[source], query.plan, grouping, {"first": first, "last": last}):
                keys = {**fixed, **dict(zip(others, row, strict=False))}
                _add(sums.group(keys[name] for name in names), row[len(others) :])
        return sums
    for row in plan_groups(connection, source, query.plan, _grouping(connection.dialect, names, in_pieces=in_pieces)):
        keys = dict(zip(names, row, strict=False)) | {name: _TIMES[name](row[names.index(name)]) for name in times}
        _add(sums.group(keys.values()), row[len(names) :])
    return sums


def _slices(connection: SQLConnection, query: UsageQuery, *, hours: int) -> Iterator[tuple[datetime, datetime]]:
    """Yield the first and the last instant of each part of a day in UTC that has an execution of the plan.

    Raises:
        CorruptDataError: an execution has a timestamp that is no instant.
    """
    ((earliest,),) = plan_groups(connection, _EXECUTIONS, query.plan, _EARLIEST)
    while earliest is not None:
        if not isinstance(earliest, datetime):
            raise CorruptDataError(f"LLMExecution.timestamp of a stored LLMExecution is no instant: {earliest!a:.100}")
        first = earliest.replace(hour=earliest.hour // hours * hours, minute=0, second=0, microsecond=0)
        last = first + (timedelta(hours=hours) - timedelta(microseconds=1))
        yield first, last
        ((earliest,),) = plan_groups(connection, _AFTER, query.plan, _EARLIEST, {"last": last})


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


def _add(group: UsageGroup, aggregates: Row) -> None:
    """Add the aggregates of a statement to the sums of a group."""
    currency, count, ended, failed, with_usage, cost, durations, *figures = aggregates
    group.executions += count
    group.failed += failed
    group.running += count - ended
    group.executions_without_usage += count - with_usage
    pairs = zip(TOKEN_FIGURES, figures[::2], figures[1::2], strict=True)
    group.add_tokens({name: None if low is None else int(low) + _PIECE * int(high or 0) for name, low, high in pairs})
    if cost is not None and currency is not None:
        group.add_cost(currency, cost)
    if durations is not None:
        try:
            group.durations.extend(map(int, durations.split(",")))
        except ValueError as error:
            problem = "LLMExecution.timestamp or LLMExecution.completed_at of a stored LLMExecution is no instant"
            raise CorruptDataError(problem) from error
