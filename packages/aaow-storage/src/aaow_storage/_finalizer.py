"""Adapters that are dropped while they are open."""

import warnings
import weakref
from collections.abc import Callable


def released_when_dropped(
    adapter: object, place: str, release: Callable[[], object] = lambda: None
) -> Callable[[], object]:
    """Have an open adapter released when it is dropped without `close()`, with a ResourceWarning that names its place.

    `release` must not refer to the adapter. It is called on any thread, perhaps in the middle of anything: it takes no
    lock, starts no thread and waits for nothing. When the process exits, nothing is called.

    The adapter calls what is returned when it closes, and is not released any more.
    """
    finalizer = weakref.finalize(adapter, _release, place, release)
    finalizer.atexit = False
    return finalizer.detach


def _release(place: str, release: Callable[[], object]) -> None:
    try:
        problem = f"an adapter of {place} was dropped while it was open: use it in `async with`, or await its close()"
        warnings.warn(problem, ResourceWarning, stacklevel=2)
    finally:
        release()
