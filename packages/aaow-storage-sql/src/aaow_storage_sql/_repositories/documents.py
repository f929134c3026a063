"""Documents: workflow definitions and session snapshots, stored once for each content, under their SHA-256 digest.

Rows refer to a document by its digest. The transaction that deletes the last such row deletes the document too.

Records share documents, but no transaction waits for another because of that. A transaction that stores or deletes a
document takes an advisory lock on it, or the lock of its row without waiting; one that refers to a document holds a
shared lock on its row. If a transaction would have to wait for such a lock, it stores a copy: the same JSON with a
suffix of white space, which has a digest of its own. If it cannot delete a document for that reason, it defers that,
and tries again on the same connection later.
"""

import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from aaow_storage.authoring import QueryPlan, loads, without_documents
from aaow_storage.errors import CorruptDataError, StoreBusyError
from aaow_storage_sql._mapping.documents import Document, digest_of
from aaow_storage_sql._mapping.rows import hydrate_all
from aaow_storage_sql._schema.families import DIGEST_BYTES
from aaow_storage_sql._schema.tables import documents, sessions, workflows
from aaow_storage_sql._statements.compiled import Row
from aaow_storage_sql._statements.connection import SQLConnection
from aaow_storage_sql._statements.insert import MAX_TRIES
from aaow_storage_sql._statements.insert_statements import Insert, insert_if_absent
from aaow_storage_sql._tuning import DEFAULT

RecordT = TypeVar("RecordT")

_BODY = sa.select(documents.c.body).where(documents.c.digest == sa.bindparam("digest"))
_EXISTS = sa.select(sa.literal(1)).where(documents.c.digest == sa.bindparam("digest"))
_IS_UNUSED = (
    documents.c.digest == sa.bindparam("digest"),
    ~sa.exists().where(workflows.c.definition_digest == documents.c.digest),
    ~sa.exists().where(sessions.c.snapshot_digest == documents.c.digest),
)
_RELEASE = sa.delete(documents).where(*_IS_UNUSED)
_UNUSED = sa.select(sa.literal(1)).where(*_IS_UNUSED)
_DELETE = sa.delete(documents).where(documents.c.digest == sa.bindparam("digest"))


AdvisoryLock = Callable[[sa.ColumnElement[int]], sa.ColumnElement[bool]]
"""`Dialect.try_advisory_lock`."""

_FIRST_LOCK = int.from_bytes(hashlib.sha256(b"aaow-storage documents").digest()[:7], signed=True) << 8
"""The first of 256 numbers of advisory locks; a server has too few locks for one a document."""
DEFERRED_PER_RELEASE = DEFAULT.deferred_per_release
MAX_DEFERRED = DEFAULT.max_deferred_documents


_CONTENDED = "other transactions keep storing and deleting the same document"


def store_document(connection: SQLConnection, document: Document) -> bytes:
    """Store a document unless it is there, and return the digest to refer to; it stays until the transaction ends.

    Raises:
        StoreBusyError: other transactions stored and deleted it at each try.
    """
    try_lock = connection.dialect.try_advisory_lock
    insert = _insert(connection.dialect.insert, try_lock)
    for copy in _copies(connection, document):
        if connection.row(connection.dialect.for_key_share(_EXISTS), {"digest": copy.digest}) is not None:
            return copy.digest
        values: dict[str, Any] = {"digest": copy.digest, "body": copy.body}
        if try_lock is not None:
            values["lock"] = _lock_number(copy.digest)
        if connection.run_at_once(insert, values):
            return copy.digest
    raise StoreBusyError(f"{_CONTENDED}; try again")


@cache
def _insert(insert: Insert, try_lock: AdvisoryLock | None) -> Any:
    """Return the statement that stores a document if it is not there, and no other transaction has its lock."""
    if try_lock is None:
        return insert_if_absent(insert, documents, ("digest", "body"))
    row = sa.select(sa.bindparam("digest", type_=sa.LargeBinary), sa.bindparam("body", type_=sa.Text))
    locked = row.where(try_lock(sa.bindparam("lock", type_=sa.BigInteger)))
    return insert(documents).from_select(["digest", "body"], locked).on_conflict_do_nothing(index_elements=["digest"])


def is_free(connection: SQLConnection, digest: bytes) -> bool:
    """Say whether a document is stored, and a row that refers to it can be inserted without a wait for its lock.

    It stays until the transaction ends.
    """
    dialect = connection.dialect
    if dialect.run_at_once is None:
        return True  # the database does not wait for it, or says itself that it is missing
    return connection.row(dialect.for_key_share(_EXISTS), {"digest": digest}) is not None


def _copies(connection: SQLConnection, document: Document) -> Iterator[Document]:
    """Yield what to try to store, in turn, until one of them waits for no other transaction.

    The document itself comes twice: another transaction may commit it between the first SELECT and INSERT.
    """
    yield document
    yield document
    if connection.dialect.has_one_writer:
        yield from itertools.repeat(document, MAX_TRIES - 2)
        return
    for _ in range(MAX_TRIES + 1):
        if connection not in _suffixes:
            _suffixes[connection] = _random_suffix()
        yield _copy(document, _suffixes[connection])
        del _suffixes[connection]  # another transaction holds the lock of that copy


_suffixes: WeakKeyDictionary[SQLConnection, str] = WeakKeyDictionary()
"""The suffix that the last copy of each connection was stored with, so that a transaction copies a document once."""


def _random_suffix() -> str:
    return f"{secrets.randbits(64):064b}".replace("0", " ").replace("1", "\n")


def _copy(document: Document, suffix: str) -> Document:
    body = document.body + suffix
    return Document(digest_of(body), body)


def _lock_number(digest: bytes) -> int:
    return _FIRST_LOCK + digest[0]


def release_document(connection: SQLConnection, digest: bytes) -> None:
    """Delete the document unless a row refers to it; do nothing for a value that is no digest.

    A document that another transaction has locked is deferred: the next release on this connection tries again.
    """
    if not is_digest(digest):
        return
    if connection.dialect.has_one_writer:
        connection.run(_RELEASE, {"digest": digest})
        return
    deferred = _deferred.setdefault(connection, [])
    again, deferred[:DEFERRED_PER_RELEASE] = deferred[:DEFERRED_PER_RELEASE], []
    failed = [each for each in (digest, *again) if not _try_delete(connection, each)]
    deferred += failed[: MAX_DEFERRED - len(deferred)]


_deferred: WeakKeyDictionary[SQLConnection, list[bytes]] = WeakKeyDictionary()


def _try_delete(connection: SQLConnection, digest: bytes) -> bool:
    """Delete a document unless a row refers to it; False if another transaction has locked it."""
    try_lock = connection.dialect.try_advisory_lock
    if try_lock is None:
        return _try_delete_locked(connection, digest)
    counts = connection.row(_lock_unused(try_lock), {"digest": digest, "lock": _lock_number(digest)})
    unused, locked = counts or (0, 0)
    if unused and locked:
        connection.run(
            _RELEASE, {"digest": digest}
        )  # it checks again, because the SELECT's snapshot is older than its lock
    return not unused or bool(locked)


def _try_delete_locked(connection: SQLConnection, digest: bytes) -> bool:
    """Do the same where the lock of the row is enough: no row that refers to it is inserted meanwhile."""
    found = {"digest": digest}
    if connection.row(_UNUSED, found) is None:
        return True
    if connection.row(connection.dialect.for_update_at_once(_EXISTS), found) is None:
        return False
    if connection.row(_UNUSED, found) is not None:  # again, because a row may have come before the lock
        connection.run(_DELETE, found)
    return True


@cache
def _lock_unused(try_lock: AdvisoryLock) -> Any:
    """Return the SELECT that locks a document if no row refers to it; its columns count the found and the locked."""
    unused = sa.select(documents.c.digest).where(*_IS_UNUSED).cte("unused")
    held = (
        sa.select(documents.c.digest)
        .where(documents.c.digest.in_(sa.select(unused.c.digest)), try_lock(sa.bindparam("lock", type_=sa.BigInteger)))
        .with_for_update(skip_locked=True)
        .cte("held")
    )
    counts = [sa.select(sa.func.count()).select_from(each).scalar_subquery() for each in (unused, held)]
    return sa.select(*counts)


def hydrate_list(
    connection: SQLConnection, record: type[RecordT], names: Sequence[str], rows: Iterable[Row], plan: QueryPlan
) -> list[RecordT]:
    """Make the records of a list. A row begins with the digest of its document, which is the field of the last name.

    Raises:
        CorruptDataError: a document is missing, or is not what was stored.
    """
    if not plan.documents:
        return [without_documents(made) for made in hydrate_all(record, names, ([*values, {}] for _, *values in rows))]
    reader = DocumentReader(connection)
    return hydrate_all(
        record, names, ([*values, reader.document(digest, record, values[0])] for digest, *values in rows)
    )


class DocumentReader:
    """Reads the documents of one list; each is read and decoded once, and shared by its rows."""

    def __init__(self, connection: SQLConnection) -> None:
        self._connection = connection
        self._documents: dict[bytes, Any] = {}

    def document(self, digest: bytes, record: type, id: object) -> Any:
        """Return the document of a record.

        Raises:
            CorruptDataError: it is missing, or is not what was stored.
            StorageUnavailableError: the task that waits for the list was cancelled.
        """
        document = self._documents.get(digest)
        if document is None:
            self._connection.check_not_cancelled()
            row = self._connection.row(_BODY, {"digest": digest}) if is_digest(digest) else None
            document = decode_body(digest, None if row is None else row[0], record, id)
            self._documents[digest] = document
        return document


def is_digest(value: object) -> bool:
    """Say whether a stored value can be the digest of a document."""
    return type(value) is bytes and len(value) == DIGEST_BYTES


def decode_body(digest: Any, body: Any, record: type, id: object) -> Any:
    """Decode the text of the document of a record after checking its digest; None means that it is missing.

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
