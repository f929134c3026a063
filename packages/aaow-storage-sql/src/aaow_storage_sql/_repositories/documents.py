"""Workflow definitions and session snapshots, stored once for each content: a row says which by the digest.

A document belongs to the rows that point to it, and goes with the last of them, in the same transaction.

Different records may share a document, and yet no transaction waits for another because of it. Whoever stores or
deletes a document claims it until the transaction ends; whoever points to one holds a lock on its row that others can
hold too. Where a transaction meets a claim or a lock that it would have to wait for, it stores a copy: the same JSON
with a mark of white space behind it, which has a digest of its own. Where it cannot delete a document for that reason,
it leaves it, and tries again later on the same connection.
"""

import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from attrs import frozen

from aaow_storage import JSONObject
from aaow_storage.authoring import QueryPlan, dumps_document, loads, without_documents
from aaow_storage.errors import CorruptDataError, StorageUnavailableError
from aaow_storage_sql._mapping.rows import all_built
from aaow_storage_sql._schema.tables import DIGEST_BYTES, documents, sessions, workflows
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import MOST_TRIES
from aaow_storage_sql._statements.insert_statements import Insert, insert_if_absent

RecordT = TypeVar("RecordT")

_BODY = sa.select(documents.c.body).where(documents.c.digest == sa.bindparam("digest"))
_EXISTS = sa.select(sa.literal(1)).where(documents.c.digest == sa.bindparam("digest"))
_IS_UNUSED = (
    documents.c.digest == sa.bindparam("digest"),
    ~sa.exists().where(workflows.c.definition_digest == documents.c.digest),
    ~sa.exists().where(sessions.c.snapshot_digest == documents.c.digest),
)
_RELEASE = sa.delete(documents).where(*_IS_UNUSED)


@frozen
class Document:
    """The text of a document, and the digest that it is stored under."""

    digest: bytes
    body: str


def encoded_document(document: JSONObject, *, record: str, field: str) -> Document:
    """Encode a document.

    Raises:
        ValidationError: a part of it is not JSON; `record` and `field` say where.
    """
    body = dumps_document(document, record=record, field=field)
    return Document(digest_of(body), body)


MOST_REMEMBERED = 64
LONGEST_REMEMBERED = 256 * 1024
_remembered: dict[int, tuple[str, bytes]] = {}
"""Of some lengths, the last document that was that long, and its digest."""


def digest_of(body: str) -> bytes:
    """Return the digest of a document.

    To compare two texts costs a hundredth of hashing one, and sessions of one workflow have one and the same snapshot.
    """
    known = _remembered.get(len(body))
    if known is not None and known[0] == body:
        return known[1]
    digest = hashlib.sha256(body.encode()).digest()
    if len(body) <= LONGEST_REMEMBERED:
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        _remembered[len(body)] = body, digest
    return digest


Claim = Callable[[sa.ColumnElement[int]], sa.ColumnElement[bool]]
"""Makes the condition that holds where no other transaction claims what has a number, and claims it; see `Dialect`."""

_CLAIMS = int.from_bytes(hashlib.sha256(b"aaow-storage documents").digest()[:7], signed=True) << 8
"""The first of 256 numbers that documents are claimed by: a transaction may store thousands, a server has few locks."""
LEFT_AT_ONCE = 4
"""How many documents that were left are tried again beside one that is released."""
MOST_LEFT = 1000


def put(connection: SQLConnection, document: Document) -> bytes:
    """Store a document, unless it is there, and return the digest to point to; it stays until the transaction ends.

    Raises:
        StorageUnavailableError: others store and delete it all the time.
    """
    claim = connection.dialect.try_advisory_lock
    insert = _insert(connection.dialect.insert, claim)
    for copy in _copies(connection, document):
        if connection.row(connection.dialect.for_key_share(_EXISTS), {"digest": copy.digest}) is not None:
            return copy.digest
        values = {"digest": copy.digest, "body": copy.body}
        if connection.run(insert, values if claim is None else {**values, "claim": _number(copy.digest)}):
            return copy.digest
    raise StorageUnavailableError("a document comes and goes; try again")


@cache
def _insert(insert: Insert, claim: Claim | None) -> Any:
    """Return the statement that stores a document, where it is not there and nothing else claims it."""
    if claim is None:
        return insert_if_absent(insert, documents, ("digest", "body"))
    row = sa.select(sa.bindparam("digest", type_=sa.LargeBinary), sa.bindparam("body", type_=sa.Text))
    claimed = row.where(claim(sa.bindparam("claim", type_=sa.BigInteger)))
    return insert(documents).from_select(["digest", "body"], claimed).on_conflict_do_nothing(index_elements=["digest"])


def _copies(connection: SQLConnection, document: Document) -> Iterator[Document]:
    """Return what to store, one after the other, until one need not wait for another transaction.

    The document itself is tried twice: it may have come since it was looked for.
    """
    yield document
    yield document
    if connection.dialect.try_advisory_lock is None:
        yield from itertools.repeat(document, MOST_TRIES - 2)
        return
    yield _copy(document, _marks.setdefault(connection, _mark()))
    for _ in range(MOST_TRIES):
        yield _copy(document, _mark())


_marks: WeakKeyDictionary[SQLConnection, str] = WeakKeyDictionary()
"""The mark of the copies of each connection: what one transaction stores again and again is copied once."""


def _mark() -> str:
    return f"{secrets.randbits(64):064b}".replace("0", " ").replace("1", "\n")


def _copy(document: Document, mark: str) -> Document:
    body = document.body + mark
    return Document(digest_of(body), body)


def _number(digest: bytes) -> int:
    return _CLAIMS + digest[0]


def release(connection: SQLConnection, digest: bytes) -> None:
    """Delete the document, where no row points to it any more; what is no digest is that of none.

    What another transaction holds is left, and tried again when the connection releases the next.
    """
    if not is_digest(digest):
        return
    claim = connection.dialect.try_advisory_lock
    if claim is None:
        connection.run(_RELEASE, {"digest": digest})
        return
    left = _left.setdefault(connection, [])
    again, left[:LEFT_AT_ONCE] = left[:LEFT_AT_ONCE], []
    left += [each for each in (digest, *again) if not _is_done_with(connection, each, claim)][: MOST_LEFT - len(left)]


_left: WeakKeyDictionary[SQLConnection, list[bytes]] = WeakKeyDictionary()


def _is_done_with(connection: SQLConnection, digest: bytes, claim: Claim) -> bool:
    """Delete a document where no row points to it, and say whether it was not left because of another transaction."""
    is_unused, is_claimed = connection.row(_held(claim), {"digest": digest, "claim": _number(digest)}) or (0, 0)
    if is_unused and is_claimed:
        connection.run(_RELEASE, {"digest": digest})  # which sees what came before the lock, as `_held` need not
    return not is_unused or bool(is_claimed)


@cache
def _held(claim: Claim) -> Any:
    """Return the select that claims and locks a document no row points to; it counts what it found, and what it has."""
    unused = sa.select(documents.c.digest).where(*_IS_UNUSED).cte("unused")
    held = (
        sa.select(documents.c.digest)
        .where(documents.c.digest.in_(sa.select(unused.c.digest)), claim(sa.bindparam("claim", type_=sa.BigInteger)))
        .with_for_update(skip_locked=True)
        .cte("held")
    )
    counts = [sa.select(sa.func.count()).select_from(each).scalar_subquery() for each in (unused, held)]
    return sa.select(*counts)


def listed(
    connection: SQLConnection, record: type[RecordT], names: Sequence[str], rows: Iterable[Row], plan: QueryPlan
) -> list[RecordT]:
    """Make the records of a list: a row begins with the digest of the document, which is the last of the names.

    Raises:
        CorruptDataError: a document is missing, or not what was stored.
    """
    if not plan.documents:
        return [without_documents(made) for made in all_built(record, names, ([*values, {}] for _, *values in rows))]
    reader = DocumentReader(connection)
    return all_built(record, names, ([*values, reader.document(digest, record, values[0])] for digest, *values in rows))


class DocumentReader:
    """Reads the documents that the rows of one list point to: each is read and decoded once, and shared by its rows."""

    def __init__(self, connection: SQLConnection) -> None:
        self._connection = connection
        self._documents: dict[bytes, Any] = {}

    def document(self, digest: bytes, record: type, id: object) -> Any:
        """Return the document of a record.

        Raises:
            CorruptDataError: it is missing, or not what was stored.
            StorageUnavailableError: the task that waits for the list was cancelled.
        """
        document = self._documents.get(digest)
        if document is None:
            self._connection.check_not_cancelled()
            row = self._connection.row(_BODY, {"digest": digest}) if is_digest(digest) else None
            document = decoded_body(digest, None if row is None else row[0], record, id)
            self._documents[digest] = document
        return document


def is_digest(value: object) -> bool:
    """Say whether a stored value can be the digest of a document."""
    return type(value) is bytes and len(value) == DIGEST_BYTES


def decoded_body(digest: Any, body: Any, record: type, id: object) -> Any:
    """Decode the text of the document of a record, checked against its digest; None is the text of one that is missing.

    Raises:
        CorruptDataError: it is not what was stored.
    """
    if body is not None and type(body) is str and digest_of(body) == digest:
        return loads(body)
    named = digest.hex() if is_digest(digest) else f"{digest!a:.100}"
    if body is None:
        problem = "is missing" if is_digest(digest) else "is missing: that is no digest"
    else:
        problem = "is not what was stored: " + ("its digest differs" if type(body) is str else "it is not text")
    raise CorruptDataError(f"the document {named} of the {record.__name__} {id!a:.300} {problem}")
