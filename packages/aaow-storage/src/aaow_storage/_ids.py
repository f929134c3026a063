"""New identifiers, and the clock that stamps records."""

import os
import threading
import time
from datetime import UTC, datetime

_COUNTER_BITS = 42
_LOW = 0xFF
"""The bits of the counter that each id changes; the text before them changes seldom, and is kept."""
_PAIRS = [f"{number:02x}" for number in range(_LOW + 1)]
_WORD_BITS = 32
_WORD_DIGITS = _WORD_BITS // 4
_WORDS_BYTES = 4096
_lock = threading.Lock()
_last_millisecond = 0
_counter = 0
_head = ""
_words: list[str] = []
"""Random words of 32 bits in hexadecimal, none of which was used."""


def _forget_parent() -> None:
    """In a forked process, replace the lock, which a thread of the parent may hold, and the parent's random bits."""
    global _lock, _words  # noqa: PLW0603 - as below
    _lock = threading.Lock()
    _words = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def new_id() -> str:
    """Return a new UUIDv7 as text; within a process, later ones sort after earlier ones.

    The layout is that of RFC 9562, section 6.2, method 1: 48 bits of milliseconds, a 42-bit counter that restarts
    at a random value in each millisecond, and 32 random bits. The order holds even if the clock steps back.
    """
    global _last_millisecond, _counter, _head  # noqa: PLW0603 - the one counter that makes ids ordered
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_millisecond:
            _last_millisecond = now_ms
            _counter = int(_random_word() + _random_word(), 16) >> (2 * _WORD_BITS - _COUNTER_BITS + 1)
            _head = _head_of(_last_millisecond, _counter)
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_millisecond += 1
                _counter = 0
            if not _counter & _LOW:
                _head = _head_of(_last_millisecond, _counter)
        return f"{_head}{_PAIRS[_counter & _LOW]}{_words.pop() if _words else _random_word()}"


def _head_of(millisecond: int, counter: int) -> str:
    """Return the text before the low bits of the counter."""
    version, variant = 0x7000 | counter >> 30, 0x8000 | counter >> 16 & 0x3FFF
    return f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}-{version:04x}-{variant:04x}-{counter >> 8 & 0xFF:02x}"


def _random_word() -> str:
    """Return 32 random bits; called with the lock held.

    They are read from the system 1,024 at a time, because each system call releases the GIL to other threads.
    """
    if not _words:
        digits = os.urandom(_WORDS_BYTES).hex()
        _words.extend(digits[at : at + _WORD_DIGITS] for at in range(0, len(digits), _WORD_DIGITS))
    return _words.pop()


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)
