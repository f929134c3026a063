"""Decodes a long JSON text in chunks, so that other threads get the GIL, and other tasks the loop, between two of them.

orjson holds the GIL until a whole text is decoded. So a long text is cut between two members of a list or dict, and the
members of a chunk are decoded together. A cut is found by counting brackets outside of strings. Decoding proves that
the cut is right: a run of members in brackets is JSON if and only if all of them are whole. A text for which this fails
is decoded at once.
"""

import gc
import re
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias

import orjson

CHUNK_CHARS = 256 * 1024
"""The size of a chunk; decoding one takes two milliseconds."""
MIN_CHUNKED_CHARS = 256 * 1024
"""Shorter texts are decoded at once."""

FORWARD_CHARS = 64 * 1024
"""How far the end of a member is searched from its beginning, one character at a time; a longer member is entered."""
BACKWARD_PARTS = 2_000
"""How many parts of a chunk are searched, from its end backwards, for the end of a member."""

_SIGNS = {"{": 1, "[": 1, "}": -1, "]": -1}
_CLOSER = {"{": "}", "[": "]"}
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER_OR_WORD = re.compile(r'[^",\[\]{}]+')

_BEGINNING = re.compile(r'\{"[^"\\]*":')

Steps: TypeAlias = Generator[None, None, Any]


class _UncutError(Exception):
    """The text cannot be cut."""


def decode(text: str) -> Any:
    """Decode a text; between the chunks of a long one, other threads can take the GIL.

    Raises:
        orjson.JSONDecodeError: it is not JSON.
    """
    if len(text) <= MIN_CHUNKED_CHARS:
        return orjson.loads(text)
    steps = decoding(text)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def decoding(text: str) -> Steps:
    """Decode a text; a generator that yields after each chunk of a long text, and returns the value.

    Raises:
        orjson.JSONDecodeError: it is not JSON.
    """
    if len(text) <= MIN_CHUNKED_CHARS or text[0] not in _CLOSER:
        return orjson.loads(text)
    try:
        return (yield from _Cutter(text).steps())
    except (_UncutError, orjson.JSONDecodeError):
        return orjson.loads(text)


class _Cutter:
    """Decodes a text from the front to the end, and keeps the lists and dicts that are open."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[tuple[str, Any]] = []
        """The opening bracket of each list and dict that is open, and its members so far."""
        self._root: Any = None
        self._has_likely_cuts = True
        self._is_new = True

    def steps(self) -> Steps:
        """Decode the whole text."""
        self._enter()
        while self._open:
            self._step()
            yield
        if self._at != len(self._text):
            raise _UncutError
        return self._root

    def _step(self) -> None:
        """Decode some members of the innermost list or dict, and leave it if it ends; or enter its next member."""
        window = self._text[self._at : self._at + CHUNK_CHARS]
        if (cut := self._likely_cut(window)) and not self._go_to(cut):
            self._has_likely_cuts = False
        elif cut or (not self._is_new and self._go_to(_cut_near_end(_split(window)))):
            return
        self._is_new = False
        cut, end = _cut_or_end(_split(window[:FORWARD_CHARS]))
        if end is not None:
            if not end or not self._decode_members(end):
                raise _UncutError
            self._at += end
            self._leave()
        elif not self._go_to(cut):
            self._enter()

    def _go_to(self, cut: int) -> bool:
        """Decode the members before a cut and go on after it; return False if there is no cut, or a wrong one."""
        if not cut or not self._decode_members(cut):
            return False
        self._at += cut + 1
        return True

    def _likely_cut(self, window: str) -> int:
        """Guess a cut in a list of dicts that begin with the same key: after a dict, before one with that key."""
        beginning = _BEGINNING.match(window) if self._has_likely_cuts and self._open[-1][0] == "[" else None
        return 0 if beginning is None else window.rfind("}," + beginning[0]) + 1

    def _decode_members(self, length: int) -> bool:
        """Decode that many characters as whole members; return False if they are not."""
        bracket, holder = self._open[-1]
        try:
            members = _loads(bracket + self._text[self._at : self._at + length] + _CLOSER[bracket])
        except orjson.JSONDecodeError:
            return False
        if not members:
            return False
        if bracket == "{":
            holder.update(members)
        else:
            holder.extend(members)
        return True

    def _enter(self) -> None:
        """Enter the list or dict that is next, or decode the string, number or word that is next."""
        key = self._key() if self._open and self._open[-1][0] == "{" else None
        bracket = self._text[self._at : self._at + 1]
        if bracket in _CLOSER:
            self._add(key, {} if bracket == "{" else [], bracket)
            self._at += 1
            if self._text[self._at : self._at + 1] == _CLOSER[bracket]:
                self._leave()
            return
        scalar = _STRING.match(self._text, self._at) or _NUMBER_OR_WORD.match(self._text, self._at)
        if scalar is None:
            raise _UncutError
        self._add(key, orjson.loads(scalar[0]))
        self._at = scalar.end()
        self._go_on()

    def _key(self) -> str:
        string = _STRING.match(self._text, self._at)
        if string is None or self._text[string.end() : string.end() + 1] != ":":
            raise _UncutError
        self._at = string.end() + 1
        return str(orjson.loads(string[0]))

    def _add(self, key: str | None, value: Any, bracket: str = "") -> None:
        if not self._open:
            self._root = value
        elif key is None:
            self._open[-1][1].append(value)
        else:
            self._open[-1][1][key] = value
        if bracket:
            self._open.append((bracket, value))
            self._has_likely_cuts = self._is_new = True

    def _leave(self) -> None:
        """Leave the innermost list or dict, whose end is here, and all others that end here."""
        while self._open and self._text[self._at : self._at + 1] == _CLOSER[self._open[-1][0]]:
            self._open.pop()
            self._at += 1
        self._go_on()

    def _go_on(self) -> None:
        """Go on after a member, to the next one or to the end."""
        if not self._open:
            return
        following = self._text[self._at : self._at + 1]
        if following == ",":
            self._at += 1
        elif following == _CLOSER[self._open[-1][0]]:
            self._leave()
        else:
            raise _UncutError


def _loads(text: str) -> Any:
    """Decode a chunk while Python's garbage collector is off.

    It would run after every 700 new lists and dicts, sometimes over the whole heap, with the GIL held, and take longer
    than the decoding. When it is on again it runs once for the chunk.
    """
    if not gc.isenabled():
        return orjson.loads(text)
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        gc.enable()


def _split(window: str) -> list[str]:
    """Split at the quotes of strings: every other part, beginning with the first, is outside of strings."""
    return window.replace("\\\\", "__").replace('\\"', "__").split('"')


def _cut_near_end(parts: Sequence[str]) -> int:
    """Return the end of the last member that ends in a window, or 0 if there is none near its end.

    If the list or dict itself ends in the window, the depth is counted wrong, and so the cut may be wrong.
    """
    last = (len(parts) - 1) // 2 * 2
    outside = "".join(parts[::2])
    depth = sum(sign * outside.count(bracket) for bracket, sign in _SIGNS.items())
    end = sum(map(len, parts[: last + 1])) + last
    for index in range(last, max(-1, last - 2 * BACKWARD_PARTS), -2):
        for char in reversed(parts[index]):
            end -= 1
            if char == "," and not depth:
                return end
            depth -= _SIGNS.get(char, 0)
        end -= len(parts[index - 1]) + 2
    return 0


def _cut_or_end(parts: Sequence[str]) -> tuple[int, int | None]:
    """Return the end of the last member that ends in a window, or 0; and the end of the list or dict, or None."""
    at = depth = cut = 0
    for index in range(0, len(parts), 2):
        for char in parts[index]:
            if char == ",":
                cut = cut if depth else at
            else:
                depth += _SIGNS.get(char, 0)
                if depth < 0:
                    return cut, at
            at += 1
        if index + 1 < len(parts):
            at += len(parts[index + 1]) + 2
    return cut, None
