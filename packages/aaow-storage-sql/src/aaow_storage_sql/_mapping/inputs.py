"""Inputs of LLM executions that are long lists: each message is named by a digest of its text and all texts before it.

A conversation grows, and each input repeats the one before. So an adapter remembers the last input of each session and
node, as a copy of its own. If the next one begins with the same messages, only those after them are encoded, hashed and
checked. What is remembered is which texts have which digests, which is true whatever a store holds; that a message is
stored is no more than a hint, and is looked up in the transaction that relies on it.
"""

import hashlib
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from attrs import define, frozen

from aaow_storage.authoring import check_json, dumps_unchecked
from aaow_storage.errors import ValidationError
from aaow_storage_sql._mapping.structures import Structure
from aaow_storage_sql._tuning import DEFAULT

DIGEST_BYTES = 20
BEGINNING = bytes(DIGEST_BYTES)
"""What stands for the digest of the messages before the first one."""
SEPARATOR = "\n"
"""Between the messages of a row; the text of compact JSON has none."""
MIN_CHARS = DEFAULT.min_chained_chars
MAX_ROW_CHARS = DEFAULT.max_message_row_chars
MAX_KNOWN_CHARS = DEFAULT.max_known_chars
_OBJECT_CHARS = 1000
"""About how many characters the objects of a conversation take, and again those of each of its messages."""


@frozen
class MessageRow:
    """A row to store: some messages, and the digests of the last of them and of the one before the first."""

    digest: bytes
    previous: bytes | None
    body: str


def digest_after(previous: bytes, text: str) -> bytes:
    """Return the digest of a message that follows others."""
    return hashlib.sha256(previous + text.encode()).digest()[:DIGEST_BYTES]


@define(eq=False, repr=False)
class _Conversation:
    """Copies of the messages of an input, and their digests. Its lists only grow."""

    messages: list[Any]
    structure: Structure
    digests: list[bytes]
    chars: list[int]
    """The length of the texts up to each message."""
    stored: set[bytes]
    """The digests that rows ended with, when they were last seen."""

    @property
    def weight(self) -> int:
        """About how many characters of memory it takes: its texts, and the objects that hold them."""
        return self.chars[-1] + _OBJECT_CHARS * (1 + len(self.messages))

    def common(self, messages: list[Any]) -> int:
        """Return how many messages at the beginning are the same."""
        own = self.messages
        if len(messages) >= len(own) and self.structure.is_of(messages[: len(own)]):
            return len(own)
        same, other = 0, min(len(messages), len(own)) + 1
        while other - same > 1:
            half = (same + other) // 2
            are_same = Structure(own[same:half]).is_of(messages[same:half])
            same, other = (half, other) if are_same else (same, half)
        return same

    def begun(self, count: int) -> "_Conversation":
        """Return another conversation that begins with the same messages."""
        messages, digests = self.messages[:count], self.digests[:count]
        stored = self.stored.intersection(digests)
        return _Conversation(messages, Structure(messages), digests, self.chars[:count], stored)

    def add(self, messages: list[Any]) -> list[str]:
        """Add valid messages, and return their texts."""
        texts = [*map(dumps_unchecked, messages)]
        digest, length = (self.digests[-1], self.chars[-1]) if self.digests else (BEGINNING, 0)
        for text in texts:
            digest, length = digest_after(digest, text), length + len(text)
            self.digests.append(digest)
            self.chars.append(length)
        self.messages += map(copied, messages)
        self.structure.add(messages)
        return texts


def copied(value: Any) -> Any:
    """Copy JSON; texts and numbers are shared."""
    kind = type(value)
    if kind is dict:
        return {key: copied(item) if type(item) in {dict, list} else item for key, item in value.items()}
    if kind is list:
        return [copied(item) if type(item) in {dict, list} else item for item in value]
    return value


class EncodedInput:
    """An input as it was when its execution was saved."""

    def __init__(self, conversation: _Conversation, count: int, texts: Sequence[str]) -> None:
        self._conversation = conversation
        self._count = count
        self._texts = texts
        """The texts of the last messages, as far as they were new."""

    @property
    def digest(self) -> bytes:
        """The digest of its last message."""
        return self._conversation.digests[self._count - 1]

    def known(self) -> int:
        """Return up to which message it is likely to be stored; 0 if nothing is known."""
        return self.longest(self._conversation.stored)

    def longest(self, digests: Collection[bytes]) -> int:
        """Return the number of the last message whose digest is one of those; 0 if there is none."""
        own = self._conversation.digests
        return next((number for number in range(self._count, 0, -1) if own[number - 1] in digests), 0)

    def digest_of(self, number: int) -> bytes:
        """Return the digest of a message, counted from 1."""
        return self._conversation.digests[number - 1]

    def rows_after(self, number: int) -> list[MessageRow]:
        """Return the rows that store what follows a message, in order; 0 for all."""
        rows: list[MessageRow] = []
        texts: list[str] = []
        length = 0
        previous = self.digest_of(number) if number else None
        for at in range(number, self._count):
            text = self._text(at)
            texts.append(text)
            length += len(text)
            if length >= MAX_ROW_CHARS or at == self._count - 1:
                digest = self._conversation.digests[at]
                rows.append(MessageRow(digest, previous, SEPARATOR.join(texts)))
                texts, length, previous = [], 0, digest
        return rows

    def _text(self, index: int) -> str:
        new = index - (self._count - len(self._texts))
        return self._texts[new] if new >= 0 else dumps_unchecked(self._conversation.messages[index])

    def remember_stored(self, digests: Collection[bytes]) -> None:
        """Remember that rows end with those digests, in the open transaction at least."""
        self._conversation.stored.update(digests)


class KnownInputs:
    """The last input of each of the sessions and nodes that were saved last, in a bounded number of characters."""

    def __init__(self, max_chars: int = MAX_KNOWN_CHARS) -> None:
        self._conversations: dict[tuple[str, str], _Conversation] = {}
        self._max_chars = max_chars
        self._chars = 0
        self._lock = threading.Lock()

    def encode(self, session_id: str, node_id: str, messages: list[Any]) -> EncodedInput | None:
        """Encode an input that is a list with items; None if it is so short that its row had better hold it.

        Later changes to the list do not reach it.

        Raises:
            ValidationError: what was JSON when the record was made is not JSON any more.
        """
        key = session_id, node_id
        conversation = self._take(key)
        try:
            common = 0 if conversation is None else conversation.common(messages)
            new = messages[common:]
            _check(new, messages)
            if conversation is None:
                conversation = _Conversation([], Structure([]), [], [], set())
            elif new and common < len(conversation.messages):
                conversation = conversation.begun(common)
            texts = conversation.add(new) if new else []
        finally:
            if conversation is not None and conversation.messages:
                self._keep(key, conversation)
        is_short = conversation.chars[len(messages) - 1] < MIN_CHARS
        return None if is_short else EncodedInput(conversation, len(messages), texts)

    def _take(self, key: tuple[str, str]) -> _Conversation | None:
        """Take a conversation out, so that no other thread changes it."""
        with self._lock:
            taken = self._conversations.pop(key, None)
            if taken is not None:
                self._chars -= taken.weight
            return taken

    def _keep(self, key: tuple[str, str], conversation: _Conversation) -> None:
        """Put a conversation back, as the one used last; forget those used first if all are too long together."""
        with self._lock:
            replaced = self._conversations.pop(key, None)
            if replaced is not None:
                self._chars -= replaced.weight
            self._conversations[key] = conversation
            self._chars += conversation.weight
            while self._chars > self._max_chars:
                oldest = next(iter(self._conversations))
                self._chars -= self._conversations.pop(oldest).weight


def _check(new: list[Any], messages: list[Any]) -> None:
    """Check that new messages are JSON; an error names their places in the whole input."""
    try:
        check_json(new)
    except ValidationError:
        check_json(messages, record="LLMExecutionResult", field="input")
        raise


def split(body: str) -> Iterator[str]:
    """Return the texts of the messages of a row."""
    return iter(body.split(SEPARATOR))
