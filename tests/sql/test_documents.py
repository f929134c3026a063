"""A digest is that of the text, whatever texts were seen before."""

import hashlib

from aaow_storage_sql._repositories import documents
from aaow_storage_sql._repositories.documents import LONGEST_REMEMBERED, MOST_REMEMBERED, digest_of


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def test_texts_of_one_length_keep_digests_of_their_own():
    texts = ["aaaa", "aaab", "aaaa", "ääää", "aaab"]
    assert [digest_of(text) for text in texts] == [sha256(text) for text in texts]


def test_a_text_that_was_just_seen_is_not_hashed_again(monkeypatch):
    first = "a document " * 3
    digest = digest_of(first)
    monkeypatch.delattr(documents, "hashlib")
    assert digest_of("a document " * 3) == digest


def test_few_and_short_texts_are_remembered(monkeypatch):
    remembered: dict[int, tuple[str, bytes]] = {}
    monkeypatch.setattr(documents, "_remembered", remembered)
    for length in range(3 * MOST_REMEMBERED):
        assert digest_of("x" * length) == sha256("x" * length)
    assert 0 < len(remembered) <= MOST_REMEMBERED
    assert digest_of("x" * (LONGEST_REMEMBERED + 1)) == sha256("x" * (LONGEST_REMEMBERED + 1))
    assert LONGEST_REMEMBERED + 1 not in remembered
