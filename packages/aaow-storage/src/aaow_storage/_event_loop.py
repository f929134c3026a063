"""Telling whether a call comes from a task of asyncio, on which all operations rest."""

from collections.abc import Callable

from aaow_storage.errors import StorageError


def check_event_loop() -> None:
    """Let a call pass that comes from a task of a running event loop.

    Raises:
        StorageError: it comes from elsewhere: another kind of event loop, such as trio's, or none.
    """
    try:
        is_in_task = _current_task() is not None
    except RuntimeError:
        is_in_task = False
    if not is_in_task:
        raise StorageError(
            "storage was called outside of asyncio: its operations run in a task of an asyncio event loop, such as "
            "asyncio.run(...) makes; other loops, such as trio's, cannot run them"
        )


def _first_current_task() -> object:
    """Import asyncio, which takes long and is not needed before the first call, and call its function from then on."""
    global _current_task  # noqa: PLW0603 - replaces itself
    from asyncio import current_task  # noqa: PLC0415 - as above

    _current_task = current_task
    return current_task()


_current_task: Callable[[], object] = _first_current_task
