"""What can be wrong with the rows of a SQL store that no operation shows, and what can be repaired of it.

Each check looks at some rows after a key, and returns what it found and the key to go on after.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import frozen

from aaow_storage.authoring import RecordFinding, loads
from aaow_storage.errors import CorruptDataError, StorageError
from aaow_storage_sql._mapping.documents import digest_of
from aaow_storage_sql._mapping.inputs import BEGINNING, digest_after, split
from aaow_storage_sql._repositories.documents import is_digest, release_document
from aaow_storage_sql._schema.tables import (
    documents,
    execution_states,
    llm_executions,
    messages,
    node_execution_states,
    sessions,
    stream_events,
    streams,
    workflows,
)
from aaow_storage_sql._statements.connection import SQLConnection

Key = tuple[Any, ...]
Repair = Callable[[SQLConnection, RecordFinding], bool]
"""Repairs a finding in the open transaction; returns whether it was still true, and is repaired."""
Found = tuple[list[RecordFinding], Key | None]
ROWS = 500
"""How many rows a check looks at in one step."""

_RESTORE = "restore the store from a backup, or delete the record if its loss can be borne"
_LIMIT = sa.bindparam("limit", type_=sa.Integer)


@frozen
class RecordCheck:
    """A check, and the repair of what it finds, if there is one that loses nothing."""

    find: Callable[[SQLConnection, Key | None], Found]
    repair: Repair | None = None


def _after(select: sa.Select[Any], columns: Sequence[sa.ColumnElement[Any]]) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Return the SELECT of the first rows by those columns, and the one of the rows after a key."""
    ordered = select.order_by(*columns).limit(_LIMIT)
    binds = [sa.bindparam(f"after_{number}", type_=column.type) for number, column in enumerate(columns)]
    beyond: sa.ColumnElement[bool] = sa.false()
    for number in reversed(range(len(columns))):
        same = sa.and_(columns[number] == binds[number], beyond) if number < len(columns) - 1 else sa.false()
        beyond = sa.or_(columns[number] > binds[number], same)
    return ordered, ordered.where(beyond)


class _Walk:
    """Reads the rows of a SELECT in steps, by the columns that it begins with."""

    def __init__(self, select: sa.Select[Any], columns: Sequence[sa.ColumnElement[Any]]) -> None:
        self._first, self._next = _after(select, columns)
        self._width = len(columns)

    def step(self, connection: SQLConnection, after: Key | None) -> tuple[list[Any], Key | None]:
        """Return the next rows, and the key to go on after, None after the last ones."""
        key = {} if after is None else {f"after_{number}": value for number, value in enumerate(after)}
        rows = connection.rows(self._first if after is None else self._next, {**key, "limit": ROWS})
        return rows, tuple(rows[-1][: self._width]) if len(rows) == ROWS else None


# documents

_DIGESTS = _Walk(
    sa.select(
        documents.c.digest,
        sa.select(sa.func.min(workflows.c.id))
        .where(workflows.c.definition_digest == documents.c.digest)
        .scalar_subquery(),
        sa.select(sa.func.min(sessions.c.id)).where(sessions.c.snapshot_digest == documents.c.digest).scalar_subquery(),
    ),
    [documents.c.digest],
)
_BODY = sa.select(documents.c.body).where(documents.c.digest == sa.bindparam("digest"))


def _documents(connection: SQLConnection, after: Key | None) -> Found:
    """Find documents that nobody refers to, and those that are not what was stored."""
    rows, key = _DIGESTS.step(connection, after)
    found = []
    for digest, workflow_id, session_id in rows:
        connection.check_not_cancelled()
        if workflow_id is None and session_id is None:
            found.append(_unused(digest))
        elif (problem := _problem_of_document(connection, digest)) is not None:
            kind, of = ("workflow", workflow_id) if workflow_id is not None else ("session", session_id)
            found.append(_damaged(kind, of, f"its document {_hex(digest)} {problem}"))
    return found, key


def _problem_of_document(connection: SQLConnection, digest: Any) -> str | None:
    try:
        row = connection.row(_BODY, {"digest": digest})
    except CorruptDataError as error:
        return f"cannot be read: {error}"
    if row is None:
        return None  # it went meanwhile
    body = row[0]
    if type(body) is not str:
        return "is not text"
    if digest_of(body) != digest:
        return "is not what was stored: its digest differs"
    return None


def _unused(digest: Any) -> RecordFinding:
    return RecordFinding(
        code="document-unused",
        kind=None,
        id=_hex(digest),
        place="documents",
        problem="no workflow and no session refers to the document",
        remedy="`check --repair` deletes it" if is_digest(digest) else "delete the row: that is no digest",
        is_repairable=is_digest(digest),
    )


def release(connection: SQLConnection, finding: RecordFinding) -> bool:
    """Delete a document unless a record refers to it by now, or another transaction has locked it."""
    digest = bytes.fromhex(finding.id or "")
    release_document(connection, digest)
    return connection.row(_BODY, {"digest": digest}) is None


_UNUSED = _Walk(
    sa.select(documents.c.digest).where(
        ~sa.select(sa.literal_column("1")).where(workflows.c.definition_digest == documents.c.digest).exists(),
        ~sa.select(sa.literal_column("1")).where(sessions.c.snapshot_digest == documents.c.digest).exists(),
    ),
    [documents.c.digest],
)


def _unused_documents(connection: SQLConnection, after: Key | None) -> Found:
    """Find documents that nobody refers to."""
    rows, key = _UNUSED.step(connection, after)
    return [_unused(digest) for (digest,) in rows if is_digest(digest)], key


def _without_document(table: sa.Table, column: sa.ColumnElement[Any]) -> _Walk:
    is_stored = sa.select(sa.literal_column("1")).where(documents.c.digest == column).exists()
    return _Walk(sa.select(table.c.id, column).where(~is_stored), [table.c.id])


_WORKFLOWS = _without_document(workflows, workflows.c.definition_digest)
_SESSIONS = _without_document(sessions, sessions.c.snapshot_digest)


def _missing_documents(kind: str, walk: _Walk, connection: SQLConnection, after: Key | None) -> Found:
    """Find records whose document is not stored."""
    rows, key = walk.step(connection, after)
    return [_missing(kind, of, f"its document {_hex(digest)} is not stored") for of, digest in rows], key


# messages

_MESSAGES = _Walk(
    sa.select(messages.c.session_id, messages.c.digest, messages.c.previous),
    [messages.c.session_id, messages.c.digest],
)
_MESSAGE = sa.select(messages.c.body).where(
    messages.c.session_id == sa.bindparam("session_id"), messages.c.digest == sa.bindparam("digest")
)
_other = messages.alias("other")
_BROKEN_CHAINS = _Walk(
    sa.select(messages.c.session_id, messages.c.digest, messages.c.previous).where(
        messages.c.previous.is_not(None),
        ~sa.select(sa.literal_column("1"))
        .where(_other.c.session_id == messages.c.session_id, _other.c.digest == messages.c.previous)
        .exists(),
    ),
    [messages.c.session_id, messages.c.digest],
)
_INPUTS_WITHOUT_END = _Walk(
    sa.select(llm_executions.c.id, llm_executions.c.input_digest).where(
        llm_executions.c.input_digest.is_not(None),
        ~sa.select(sa.literal_column("1"))
        .where(messages.c.session_id == llm_executions.c.session_id, messages.c.digest == llm_executions.c.input_digest)
        .exists(),
    ),
    [llm_executions.c.id],
)


def _message_bodies(connection: SQLConnection, after: Key | None) -> Found:
    """Find messages that are not what was stored."""
    rows, key = _MESSAGES.step(connection, after)
    found = []
    for session_id, digest, previous in rows:
        connection.check_not_cancelled()
        problem = _problem_of_message(connection, session_id, digest, previous)
        if problem is not None:
            found.append(_damaged("session", session_id, f"a message {_hex(digest)} of its inputs {problem}"))
    return found, key


def _problem_of_message(connection: SQLConnection, session_id: str, digest: Any, previous: Any) -> str | None:
    try:
        row = connection.row(_MESSAGE, {"session_id": session_id, "digest": digest})
    except CorruptDataError as error:
        return f"cannot be read: {error}"
    if row is None:
        return None
    if type(row[0]) is not str:
        return "is not text"
    reached = BEGINNING if previous is None else previous
    for text in split(row[0]):
        reached = digest_after(reached, text) if type(reached) is bytes else b""
    return None if reached == digest else "is not what was stored: its digest differs"


def _broken_chains(connection: SQLConnection, after: Key | None) -> Found:
    """Find messages whose predecessor is not stored."""
    rows, key = _BROKEN_CHAINS.step(connection, after)
    said = "the message before {} of its inputs, {}, is not stored"
    return [_missing("session", of, said.format(_hex(one), _hex(before))) for of, one, before in rows], key


def _inputs_without_end(connection: SQLConnection, after: Key | None) -> Found:
    """Find executions whose last message is not stored."""
    rows, key = _INPUTS_WITHOUT_END.step(connection, after)
    return [
        _missing("llm_execution", of, f"the message {_hex(end)} of its input is not stored") for of, end in rows
    ], key


# values that lists of executions leave out

_JSON_TEXTS = _Walk(
    sa.select(
        llm_executions.c.id,
        sa.type_coerce(llm_executions.c.input, sa.Text),
        sa.type_coerce(llm_executions.c.output, sa.Text),
    ),
    [llm_executions.c.id],
)


def _inputs_and_outputs(connection: SQLConnection, after: Key | None) -> Found:
    """Find executions whose input or output is no JSON."""
    rows, key = _JSON_TEXTS.step(connection, after)
    found = []
    for execution_id, *texts in rows:
        for name, text in zip(("input", "output"), texts, strict=True):
            if text is None:
                continue
            try:
                loads(text)
            except (StorageError, TypeError, ValueError, RecursionError) as error:
                found.append(
                    RecordFinding(
                        code="unreadable",
                        kind="llm_execution",
                        id=execution_id,
                        place="llm_executions",
                        problem=f"its {name} cannot be read: {error}",
                        remedy=_RESTORE,
                    )
                )
    return found, key


# rows that no operation reads


def _orphans(table: sa.Table, column: sa.ColumnElement[Any], parent: sa.ColumnElement[Any]) -> _Walk:
    is_stored = sa.select(sa.literal_column("1")).where(parent == column).exists()
    return _Walk(sa.select(column).where(~is_stored).distinct(), [column])


_ORPHANS = {
    execution_states: (_orphans(execution_states, execution_states.c.session_id, sessions.c.id), "session"),
    node_execution_states: (
        _orphans(node_execution_states, node_execution_states.c.session_id, execution_states.c.session_id),
        "execution state",
    ),
    messages: (_orphans(messages, messages.c.session_id, sessions.c.id), "session"),
}


def _orphaned_rows(table: sa.Table, connection: SQLConnection, after: Key | None) -> Found:
    """Find rows whose session, or whose execution state, is not stored, so that nothing shows them."""
    walk, parent = _ORPHANS[table]
    rows, key = walk.step(connection, after)
    return [
        RecordFinding(
            code="reference-dangling",
            kind="execution_state" if table is not messages else "session",
            id=session_id,
            place=table.name,
            problem=f"rows of {table.name} belong to it, but the {parent} is not stored, so that nothing shows them",
            remedy="restore the session from a backup, or create it and delete it to delete these rows",
        )
        for (session_id,) in rows
    ], key


# sequences

_BEHIND = _Walk(
    sa.select(stream_events.c.stream_id, sa.func.max(stream_events.c.sequence), sa.func.min(streams.c.last_sequence))
    .select_from(stream_events.outerjoin(streams, streams.c.stream_id == stream_events.c.stream_id))
    .group_by(stream_events.c.stream_id)
    .having(sa.func.coalesce(sa.func.min(streams.c.last_sequence), 0) < sa.func.max(stream_events.c.sequence)),
    [stream_events.c.stream_id],
)
_LAST_OF_STREAM = sa.select(sa.func.max(stream_events.c.sequence)).where(
    stream_events.c.stream_id == sa.bindparam("stream_id")
)
_LOCK_STREAM = sa.select(streams.c.last_sequence).where(streams.c.stream_id == sa.bindparam("stream_id"))
_SET_LAST = (
    sa.update(streams)
    .where(streams.c.stream_id == sa.bindparam("of_stream"), streams.c.last_sequence < sa.bindparam("last"))
    .values(last_sequence=sa.bindparam("last", type_=sa.BigInteger))
)
_INSERT_LAST = sa.insert(streams).values(
    stream_id=sa.bindparam("of_stream", type_=streams.c.stream_id.type),
    last_sequence=sa.bindparam("last", type_=sa.BigInteger),
)


def _sequences(connection: SQLConnection, after: Key | None) -> Found:
    """Find streams whose next event would get a sequence that was given."""
    if connection.dialect.has_one_writer:
        return [], None  # there the events themselves say which was the last
    rows, key = _BEHIND.step(connection, after)
    return [
        RecordFinding(
            code="sequence-wrong",
            kind="stream_event",
            id=stream_id,
            place="streams",
            problem=f"the stream has events up to {last}, and its next event would get {1 + (kept or 0)}",
            remedy="`check --repair` sets the last sequence of the stream",
            is_repairable=True,
        )
        for stream_id, last, kept in rows
    ], key


def _set_last_sequence(connection: SQLConnection, finding: RecordFinding) -> bool:
    stream_id = finding.id
    is_there = connection.row(connection.dialect.for_update(_LOCK_STREAM), {"stream_id": stream_id}) is not None
    row = connection.row(_LAST_OF_STREAM, {"stream_id": stream_id})
    if row is None or row[0] is None:
        return False
    connection.run(_SET_LAST if is_there else _INSERT_LAST, {"of_stream": stream_id, "last": row[0]})
    return True


def _damaged(kind: str, id: str, problem: str) -> RecordFinding:
    return RecordFinding(code="document-damaged", kind=kind, id=id, place="documents", problem=problem, remedy=_RESTORE)


def _missing(kind: str, id: str, problem: str) -> RecordFinding:
    return RecordFinding(code="document-missing", kind=kind, id=id, place="documents", problem=problem, remedy=_RESTORE)


def _hex(digest: Any) -> str:
    return digest.hex() if type(digest) is bytes else f"{digest!a:.100}"


UNUSED_DOCUMENTS = RecordCheck(_unused_documents, release)
CHECKS = (
    RecordCheck(_documents, release),
    RecordCheck(functools.partial(_missing_documents, "workflow", _WORKFLOWS)),
    RecordCheck(functools.partial(_missing_documents, "session", _SESSIONS)),
    RecordCheck(_message_bodies),
    RecordCheck(_broken_chains),
    RecordCheck(_inputs_without_end),
    RecordCheck(_inputs_and_outputs),
    *(RecordCheck(functools.partial(_orphaned_rows, table)) for table in _ORPHANS),
    RecordCheck(_sequences, _set_last_sequence),
)
