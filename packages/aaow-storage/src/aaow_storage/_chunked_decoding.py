"""Decoding a long JSON text in pieces, between which other threads and other tasks have their turn.

orjson holds the GIL until a whole text is decoded. So a long text is cut where one member of a list or dict ends and
the next begins, and the members between two cuts are decoded together. A cut is found by counting brackets outside of
strings; that it is in the right place shows when what is before it is decoded, since a run of members is JSON between
brackets if and only if all of them are whole. What is not cut like this is decoded at once.
"""

import gc
import re
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias

import orjson

PIECE = 256 * 1024
"""How many characters are decoded at once: two milliseconds."""
LONG = 256 * 1024
"""Up to how many characters a text is decoded at once."""

FAR = 64 * 1024
"""In how many characters the end of a member is looked for from the front, one by one; what is longer is entered."""
NEAR = 2_000
"""In how many parts of a piece the end of a member is looked for from behind."""

_SIGNS = {"{": 1, "[": 1, "}": -1, "]": -1}
_CLOSER = {"{": "}", "[": "]"}
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NUMBER_OR_WORD = re.compile(r'[^",\[\]{}]+')

_BEGINNING = re.compile(r'\{"[^"\\]*":')

Steps: TypeAlias = Generator[None, None, Any]


class _UncutError(Exception):
    """The text cannot be cut, or is not what it seemed to be."""


def decoded(text: str) -> Any:
    """Decode a text, with the GIL let go of between the pieces of a long one.

    Raises:
        orjson.JSONDecodeError: it is not JSON.
    """
    if len(text) <= LONG:
        return orjson.loads(text)
    steps = decoding(text)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def decoding(text: str) -> Steps:
    """Decode a text step by step, and return what it holds.

    Raises:
        orjson.JSONDecodeError: it is not JSON.
    """
    if len(text) <= LONG or text[0] not in _CLOSER:
        return orjson.loads(text)
    try:
        return (yield from _Cutter(text).steps())
    except (_UncutError, orjson.JSONDecodeError):
        return orjson.loads(text)


class _Cutter:
    """Goes through a text from the front, with the lists and dicts that are open."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[tuple[str, Any]] = []
        """The opening bracket of each list and dict that is open, and what it holds so far."""
        self._root: Any = None
        self._has_likely_cuts = True
        self._is_new = True

    def steps(self) -> Steps:
        """Decode everything."""
        self._enter()
        while self._open:
            self._step()
            yield
        if self._at != len(self._text):
            raise _UncutError
        return self._root

    def _step(self) -> None:
        """Decode some members of the innermost list or dict, and leave it, or enter what it holds next."""
        window = self._text[self._at : self._at + PIECE]
        if (cut := self._likely_cut(window)) and not self._go_to(cut):
            self._has_likely_cuts = False
        elif cut or (not self._is_new and self._go_to(_cut_near_end(_split(window)))):
            return
        self._is_new = False
        cut, end = _cut_or_end(_split(window[:FAR]))
        if end is not None:
            if not end or not self._takes(end):
                raise _UncutError
            self._at += end
            self._leave()
        elif not self._go_to(cut):
            self._enter()

    def _go_to(self, cut: int) -> bool:
        """Decode what is before a cut, and go on behind it; False where there is none, or none in that place."""
        if not cut or not self._takes(cut):
            return False
        self._at += cut + 1
        return True

    def _likely_cut(self, window: str) -> int:
        """Return where a member of a list ends, if all are dicts with the same first key and hold no such list."""
        beginning = _BEGINNING.match(window) if self._has_likely_cuts and self._open[-1][0] == "[" else None
        return 0 if beginning is None else window.rfind("}," + beginning[0]) + 1

    def _takes(self, length: int) -> bool:
        """Decode so many characters as members; False where they are not."""
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
        """Enter the list or dict that comes next, or take the text, number or word that does."""
        key = self._key() if self._open and self._open[-1][0] == "{" else None
        bracket = self._text[self._at : self._at + 1]
        if bracket in _CLOSER:
            self._put(key, {} if bracket == "{" else [], bracket)
            self._at += 1
            if self._text[self._at : self._at + 1] == _CLOSER[bracket]:
                self._leave()
            return
        scalar = _STRING.match(self._text, self._at) or _NUMBER_OR_WORD.match(self._text, self._at)
        if scalar is None:
            raise _UncutError
        self._put(key, orjson.loads(scalar[0]))
        self._at = scalar.end()
        self._go_on()

    def _key(self) -> str:
        string = _STRING.match(self._text, self._at)
        if string is None or self._text[string.end() : string.end() + 1] != ":":
            raise _UncutError
        self._at = string.end() + 1
        return str(orjson.loads(string[0]))

    def _put(self, key: str | None, value: Any, bracket: str = "") -> None:
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
        """Leave the innermost list or dict, whose end is here, and all that end with it."""
        while self._open and self._text[self._at : self._at + 1] == _CLOSER[self._open[-1][0]]:
            self._open.pop()
            self._at += 1
        self._go_on()

    def _go_on(self) -> None:
        """Go on behind a member, to the next or to the end."""
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
    """Decode a piece while Python's collector of cycles is off.

    Every 700 lists and dicts it would look through the new ones, and now and then through the whole heap, with the GIL
    held: for longer than the decoding takes. It does so once for the piece instead, when it is on again.
    """
    if not gc.isenabled():
        return orjson.loads(text)
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        gc.enable()


def _split(window: str) -> list[str]:
    """Split at the quotes that begin and end strings: every other part is outside of strings."""
    return window.replace("\\\\", "__").replace('\\"', "__").split('"')


def _cut_near_end(parts: Sequence[str]) -> int:
    """Return where the last member ends that ends in a window, or 0 where none does near its end.

    Where the list or dict ends in the window, what follows makes the depth wrong, and the cut may not be one.
    """
    last = (len(parts) - 1) // 2 * 2
    outside = "".join(parts[::2])
    depth = sum(sign * outside.count(bracket) for bracket, sign in _SIGNS.items())
    end = sum(map(len, parts[: last + 1])) + last
    for index in range(last, max(-1, last - 2 * NEAR), -2):
        for char in reversed(parts[index]):
            end -= 1
            if char == "," and not depth:
                return end
            depth -= _SIGNS.get(char, 0)
        end -= len(parts[index - 1]) + 2
    return 0


def _cut_or_end(parts: Sequence[str]) -> tuple[int, int | None]:
    """Return where the last member ends that ends in a window, 0 for nowhere; and where the list or dict does."""
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
