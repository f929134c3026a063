"""Workflow definitions and session snapshots, stored once for each content: a row says which by the digest.

A document belongs to the rows that point to it, and goes with the last of them, in the same transaction.
"""

import hashlib
from typing import Any

import sqlalchemy as sa
from attrs import frozen

from aaow_storage import JSONObject
from aaow_storage.authoring import dumps, loads
from aaow_storage.errors import CorruptDataError
from aaow_storage_sql._connection import SQLConnection
from aaow_storage_sql._schema import documents, sessions, workflows

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
    body = dumps(document, record=record, field=field)
    return Document(hashlib.sha256(body.encode()).digest(), body)


def put(connection: SQLConnection, document: Document) -> None:
    """Store a document, unless it is there."""
    if connection.row(_EXISTS, {"digest": document.digest}) is None:
        values = {"digest": document.digest, "body": document.body}
        connection.run(connection.dialect.insert_if_absent(documents), values)


def release(connection: SQLConnection, digest: bytes) -> None:
    """Delete the document, where no row points to it any more."""
    connection.run(_RELEASE, {"digest": digest})


class DocumentReader:
    """Reads the documents that several rows point to, each one once."""

    def __init__(self, connection: SQLConnection) -> None:
        self._connection = connection
        self._bodies: dict[bytes, str] = {}

    def document(self, digest: bytes) -> Any:
        """Return a document of its own for each call.

        Raises:
            CorruptDataError: it is missing, or not what was stored.
        """
        if digest not in self._bodies:
            row = self._connection.row(_BODY, {"digest": digest})
            if row is None:
                raise CorruptDataError(f"the document {digest.hex()} is missing")
            self._bodies[digest] = checked_body(digest, row[0])
        return loads(self._bodies[digest])


def checked_body(digest: bytes, body: str) -> str:
    """Return the text of a document, checked against its digest.

    Raises:
        CorruptDataError: it is not what was stored.
    """
    if hashlib.sha256(body.encode()).digest() != digest:
        raise CorruptDataError(f"the document {digest.hex()} is not what was stored: its digest differs")
    return body
