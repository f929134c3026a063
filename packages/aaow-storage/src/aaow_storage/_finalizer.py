"""A finalizer that releases an adapter which is garbage-collected while it is open, and warns of it."""

import warnings
import weakref
from collections.abc import Callable


def released_when_dropped(
    adapter: object,
    place: str,
    release: Callable[[], object] = lambda: None,
    remedy: str = "use it in `async with`, or await its close()",
) -> Callable[[], object]:
    """Release an open adapter when it is garbage-collected without `close()`; a ResourceWarning names its `place`.

    `release` must not refer to the adapter. The garbage collector calls it on any thread, between any two steps of
    other code. So it must take no lock, start no thread and wait for nothing. It is not called when the process exits.

    Returns a function that the adapter calls in `close()`, and that switches the finalizer off.
    """
    finalizer = weakref.finalize(adapter, _release, place, release, remedy)
    finalizer.atexit = False
    return finalizer.detach


def _release(place: str, release: Callable[[], object], remedy: str) -> None:
    try:
        problem = f"an adapter of {place} was dropped while it was open: {remedy}"
        warnings.warn(problem, ResourceWarning, stacklevel=2)
    finally:
        release()
