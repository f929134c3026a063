"""A digest is that of the text, whatever texts were seen before."""

import hashlib

from aaow_storage_sql._mapping import documents
from aaow_storage_sql._mapping.documents import MAX_CACHED_DIGESTS, MAX_CACHED_LENGTH, digest_of


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_documents_of_one_length_have_digests_of_their_own():
    texts = ["aaaa", "aaab", "aaaa", "ääää", "aaab"]
    assert [digest_of(text) for text in texts] == [sha256(text) for text in texts]


def test_a_text_that_was_just_seen_is_not_hashed_again(monkeypatch):
    first = "a document " * 3
    digest = digest_of(first)
    monkeypatch.delattr(documents, "hashlib")
    assert digest_of("a document " * 3) == digest


def test_the_cache_of_digests_keeps_few_and_short_documents(monkeypatch):
    remembered: dict[int, tuple[str, bytes]] = {}
    monkeypatch.setattr(documents, "_digests", remembered)
    for length in range(3 * MAX_CACHED_DIGESTS):
        assert digest_of("x" * length) == sha256("x" * length)
    assert 0 < len(remembered) <= MAX_CACHED_DIGESTS
    assert digest_of("x" * (MAX_CACHED_LENGTH + 1)) == sha256("x" * (MAX_CACHED_LENGTH + 1))
    assert MAX_CACHED_LENGTH + 1 not in remembered
