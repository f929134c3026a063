"""New identifiers, and the clock that stamps records."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

_COUNTER_BITS = 42
_TAIL = 0xFFFF
"""The bits of the counter that are in the last part of the text; the rest of it changes seldom."""
_WORD_BITS = 32
_WORDS_BYTES = 4096
_lock = threading.Lock()
_last_millisecond = 0
_counter = 0
_head = ""
_words: Iterator[int] = iter(())


def _forget_parent() -> None:
    """Share neither a held lock nor random bits with the process that this one was forked from."""
    global _lock, _words  # noqa: PLW0603 - as below
    _lock = threading.Lock()
    _words = iter(())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def new_id() -> str:
    """Make a UUIDv7 string; within a process, one made later sorts later.

    The layout is that of RFC 9562, section 6.2, method 1: 48 bits of milliseconds, a 42-bit counter that restarts
    at a random value each millisecond, and 32 random bits. A clock that steps back does not break the order.
    """
    global _last_millisecond, _counter, _head  # noqa: PLW0603 - the one counter that makes ids ordered
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_millisecond:
            _last_millisecond = now_ms
            _counter = (_random_word() << _WORD_BITS | _random_word()) >> (2 * _WORD_BITS - _COUNTER_BITS + 1)
            _head = _head_of(_last_millisecond, _counter)
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_millisecond += 1
                _counter = 0
            if not _counter & _TAIL:
                _head = _head_of(_last_millisecond, _counter)
        return f"{_head}{(_counter & _TAIL) << _WORD_BITS | _random_word():012x}"


def _head_of(millisecond: int, counter: int) -> str:
    """Return all but the last part of the text."""
    version, variant = 0x7000 | counter >> 30, 0x8000 | counter >> 16 & 0x3FFF
    return f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}-{version:04x}-{variant:04x}-"


def _random_word() -> int:
    """Return 32 random bits; called with the lock held.

    They are taken from the system many at a time: each call lets another thread have the interpreter.
    """
    global _words  # noqa: PLW0603 - what is left of the last call
    for word in _words:
        return word
    _words = iter(memoryview(os.urandom(_WORDS_BYTES)).cast("I"))
    return next(_words)


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)
