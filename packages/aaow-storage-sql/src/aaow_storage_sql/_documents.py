"""Workflow definitions and session snapshots, stored once for each content: a row says which by the digest.

A document belongs to the rows that point to it, and goes with the last of them, in the same transaction.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from attrs import frozen

from aaow_storage import JSONObject
from aaow_storage.authoring import QueryPlan, dumps_document, loads, without_documents
from aaow_storage.errors import CorruptDataError, StorageUnavailableError
from aaow_storage_sql._connection import Row, SQLConnection
from aaow_storage_sql._inserting import MOST_TRIES
from aaow_storage_sql._inserts import insert_if_absent
from aaow_storage_sql._rows import all_built
from aaow_storage_sql._schema import DIGEST_BYTES, documents, sessions, workflows

RecordT = TypeVar("RecordT")

_BODY = sa.select(documents.c.body).where(documents.c.digest == sa.bindparam("digest"))
_EXISTS = sa.select(sa.literal(1)).where(documents.c.digest == sa.bindparam("digest"))
_RELEASE = sa.delete(documents).where(
    documents.c.digest == sa.bindparam("digest"),
    ~sa.exists().where(workflows.c.definition_digest == documents.c.digest),
    ~sa.exists().where(sessions.c.snapshot_digest == documents.c.digest),
)


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


def put(connection: SQLConnection, document: Document) -> None:
    """Store a document, unless it is there; it stays until the transaction ends.

    Raises:
        StorageUnavailableError: others store and delete it all the time.
    """
    values = {"digest": document.digest, "body": document.body}
    for _ in range(MOST_TRIES):
        if connection.row(connection.dialect.keeping(_EXISTS), {"digest": document.digest}) is not None:
            return
        if connection.run(insert_if_absent(connection.dialect.insert, documents, tuple(values)), values):
            return
    raise StorageUnavailableError("a document comes and goes; try again")


def release(connection: SQLConnection, digest: bytes) -> None:
    """Delete the document, where no row points to it any more; what is no digest is that of none."""
    if not is_digest(digest):
        return
    connection.run(_RELEASE, {"digest": digest})


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
            self._connection.check_wanted()
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
