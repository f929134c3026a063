"""The check that a call comes from an asyncio task."""

from collections.abc import Callable

from aaow_storage.errors import StorageError


def check_event_loop() -> None:
    """Check that the call comes from a task of a running asyncio event loop.

    Raises:
        StorageError: it comes from another kind of event loop, such as trio's, or from none.
    """
    try:
        is_in_task = _current_task() is not None
    except RuntimeError:
        is_in_task = False
    if not is_in_task:
        raise StorageError(
            "storage was called outside of asyncio: call it in a task of an asyncio event loop, such as "
            "asyncio.run(...) makes; other event loops, such as trio's, cannot run it"
        )


def _first_current_task() -> object:
    """Import asyncio, which is slow and not needed before the first call, and replace this function by asyncio's."""
    global _current_task  # noqa: PLW0603 - replaces itself
    from asyncio import current_task  # noqa: PLC0415 - as above

    _current_task = current_task
    return current_task()


_current_task: Callable[[], object] = _first_current_task
