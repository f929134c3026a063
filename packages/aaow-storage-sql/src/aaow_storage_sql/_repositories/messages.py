"""The messages of long inputs, which the executions of a session share."""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from aaow_storage.authoring import loads
from aaow_storage.errors import CorruptDataError
from aaow_storage_sql._mapping.inputs import BEGINNING, EncodedInput, MessageRow, copied, digest_after, split
from aaow_storage_sql._mapping.row_encoder import InsertedRow
from aaow_storage_sql._repositories import message_statements as statements
from aaow_storage_sql._schema.families import MESSAGE_DIGEST_BYTES
from aaow_storage_sql._schema.tables import llm_executions, messages
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import try_save
from aaow_storage_sql._statements.insert_statements import insert_if_absent


def save_after_known(connection: SQLConnection, row: InsertedRow, input: EncodedInput) -> bool:
    """Save an execution and the messages of its input, if it is known what is stored, and at most one row is not.

    False if the execution was not saved. What is undone by the database if a statement fails is that statement alone,
    so where one statement cannot do it all, the row of messages comes first: without an execution that needs it, it is
    of no effect.
    """
    known = input.known()
    if not known:
        return False
    rows = input.rows_after(known)
    if len(rows) > 1:
        return False
    save = _save_in_one_statement if connection.dialect.has_statements_that_insert_into_two_tables else _save_in_turn
    saved = save(connection, row, rows, input.digest_of(known))
    if saved and rows:
        input.remember_stored((rows[0].digest,))
    return saved


def _save_in_one_statement(
    connection: SQLConnection, row: InsertedRow, rows: Sequence[MessageRow], last_stored: bytes
) -> bool:
    dialect = connection.dialect
    values = {**row, "last_stored": last_stored}
    if rows:
        statement = statements.save_with_row(dialect.insert, tuple(row))
        return connection.run(statement, {**values, "body": rows[0].body}) > 0
    return connection.run(statements.save_after(dialect.insert, tuple(row)), values) > 0


def _save_in_turn(connection: SQLConnection, row: InsertedRow, rows: Sequence[MessageRow], last_stored: bytes) -> bool:
    session_id = row["session_id"]
    if not _is_stored(connection, session_id, last_stored):
        return False
    _insert(connection, session_id, rows)
    return try_save(connection, llm_executions, row)


def store_messages(connection: SQLConnection, session_id: str, input: EncodedInput) -> None:
    """Store the messages of the input of an execution that was saved, as far as they are not stored.

    The rows of a conversation are inserted from the first to the last, in every transaction.
    """
    last = input.known()
    if not last or not _is_stored(connection, session_id, input.digest_of(last)):
        stored = {digest for (digest,) in connection.rows(statements.DIGESTS, {"session_id": session_id})}
        last = input.longest(stored)
    rows = input.rows_after(last)
    _insert(connection, session_id, rows)
    digests = [row.digest for row in rows]
    input.remember_stored([input.digest_of(last), *digests] if last else digests)


def _insert(connection: SQLConnection, session_id: str, rows: Iterable[MessageRow]) -> None:
    """Insert rows into a session, which is stored, unless they are there."""
    insert = insert_if_absent(connection.dialect.insert, messages, statements.COLUMNS, checks_parents=False)
    for row in rows:
        connection.run(
            insert,
            {"session_id": session_id, "digest": row.digest, "previous": row.previous, "body": row.body},
        )


def _is_stored(connection: SQLConnection, session_id: str, digest: bytes) -> bool:
    return connection.row(statements.EXISTS, {"session_id": session_id, "last_stored": digest}) is not None


@frozen
class _Row:
    """A row of messages, decoded."""

    previous: Any
    messages: list[Any]


class InputReader:
    """Reads the inputs of the executions of one list; each row of messages is read and decoded once.

    Every input is a list of its own.
    """

    def __init__(self, connection: SQLConnection, ids: Iterable[str]) -> None:
        """Read what the inputs of those executions consist of.

        Raises:
            CorruptDataError: a row cannot be read.
        """
        connection.check_not_cancelled()
        rows = connection.rows(statements.needed_rows(connection.dialect), {"ids": [*ids]})
        self._rows = {(session_id, digest): (previous, body) for session_id, digest, previous, body in rows}
        self._decoded: dict[tuple[Any, Any], _Row] = {}

    def input(self, session_id: str, digest: Any, id: object) -> list[Any]:
        """Return the input of an execution that ends with the message of that digest.

        Raises:
            CorruptDataError: a message is missing, or is not what was stored.
        """
        rows: list[_Row] = []
        following = digest
        while following is not None:
            row = self._row(session_id, following, id)
            rows.append(row)
            following = row.previous
        return [copied(message) for row in reversed(rows) for message in row.messages]

    def _row(self, session_id: str, digest: Any, id: object) -> _Row:
        key = session_id, digest
        row = self._decoded.get(key)
        if row is None:
            row = self._decoded[key] = self._decode(key, id)
        return row

    def _decode(self, key: tuple[str, Any], id: object) -> _Row:
        previous, body = self._rows.get(key, (None, None))
        if body is None:
            raise _corrupt(key[1], id, "is missing")
        if type(body) is not str:
            raise _corrupt(key[1], id, "is not what was stored: it is not text")
        texts = [*split(body)]
        reached = BEGINNING if previous is None else previous
        for text in texts:
            reached = digest_after(reached, text) if type(reached) is bytes else b""
        if reached != key[1]:
            raise _corrupt(key[1], id, "is not what was stored: its digest differs")
        decoded: Any = loads(f"[{','.join(texts)}]")
        return _Row(previous, decoded)


def _corrupt(digest: Any, id: object, problem: str) -> CorruptDataError:
    is_digest = type(digest) is bytes and len(digest) == MESSAGE_DIGEST_BYTES
    named = digest.hex() if is_digest else f"{digest!a:.100}"
    return CorruptDataError(f"the message {named} in the input of the LLMExecution {id!a:.300} {problem}")
