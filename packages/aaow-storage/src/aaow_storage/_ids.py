"""New identifiers, and the clock that stamps records."""

import os
import threading
import time
from datetime import UTC, datetime
from itertools import islice

_COUNTER_BITS = 42
_RANDOM_BITS = 32
_BUFFER_BYTES = 4096
_lock = threading.Lock()
_last_millisecond = 0
_counter = 0
_buffer = iter(b"")


def _forget_parent() -> None:
    """Share neither a held lock nor random bytes with the process that this one was forked from."""
    global _lock, _buffer  # noqa: PLW0603 - as below
    _lock = threading.Lock()
    _buffer = iter(b"")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def new_id() -> str:
    """Make a UUIDv7 string; within a process, one made later sorts later.

    The layout is that of RFC 9562, section 6.2, method 1: 48 bits of milliseconds, a 42-bit counter that restarts
    at a random value each millisecond, and 32 random bits. A clock that steps back does not break the order.
    """
    global _last_millisecond, _counter  # noqa: PLW0603 - the one counter that makes ids ordered
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_millisecond:
            _last_millisecond = now_ms
            _counter = _random_bits(_COUNTER_BITS - 1)
        else:
            _counter += 1
            if _counter >> _COUNTER_BITS:
                _last_millisecond += 1
                _counter = 0
        millisecond, counter, random = _last_millisecond, _counter, _random_bits(_RANDOM_BITS)
    value = millisecond << 80
    value |= 0x7 << 76 | (counter >> 30) << 64
    value |= 0b10 << 62 | (counter & 0x3FFF_FFFF) << _RANDOM_BITS | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _random_bits(count: int) -> int:
    """Return random bits; called with the lock held.

    They are taken from the system many at a time: each call lets another thread have the interpreter.
    """
    global _buffer  # noqa: PLW0603 - what is left of the bytes of the last call
    size = (count + 7) // 8
    taken = bytes(islice(_buffer, size))
    if len(taken) < size:
        _buffer = iter(os.urandom(_BUFFER_BYTES))
        taken = bytes(islice(_buffer, size))
    return int.from_bytes(taken) >> (8 * size - count)


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)
