"""The text of a document, a workflow definition or a snapshot of one, and its SHA-256 digest."""

import hashlib

from attrs import frozen

from aaow_storage import JSONObject
from aaow_storage.authoring import dumps_document
from aaow_storage_sql._tuning import DEFAULT


@frozen
class Document:
    """The text of a document and its digest."""

    digest: bytes
    body: str


def encode_document(document: JSONObject, *, record: str, field: str) -> Document:
    """Encode a document as JSON.

    Raises:
        ValidationError: a part of it is not JSON; `record` and `field` name it in the error.
    """
    body = dumps_document(document, record=record, field=field)
    return Document(digest_of(body), body)


MAX_CACHED_DIGESTS = DEFAULT.max_cached_digests
MAX_CACHED_LENGTH = DEFAULT.max_cached_document_length
_digests: dict[int, tuple[str, bytes]] = {}
"""The last document of each length, and its digest."""


def digest_of(body: str) -> bytes:
    """Return the digest of a document.

    Comparing two texts costs a hundredth of hashing one, and the sessions of a workflow share one snapshot.
    """
    known = _digests.get(len(body))
    if known is not None and known[0] == body:
        return known[1]
    digest = hashlib.sha256(body.encode()).digest()
    if len(body) <= MAX_CACHED_LENGTH:
        if len(_digests) >= MAX_CACHED_DIGESTS:
            _digests.clear()
        _digests[len(body)] = body, digest
    return digest
