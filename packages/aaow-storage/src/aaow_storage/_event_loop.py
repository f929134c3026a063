"""Telling whether a call comes from a task of asyncio, on which all operations rest."""

import sys

from aaow_storage.errors import StorageError


def check_event_loop() -> None:
    """Let a call pass that comes from a task of a running event loop.

    Raises:
        StorageError: it comes from elsewhere: another kind of event loop, such as trio's, or none.
    """
    asyncio = sys.modules.get("asyncio")  # the interface does without: it takes long to import
    try:
        is_in_task = asyncio is not None and asyncio.current_task() is not None
    except RuntimeError:
        is_in_task = False
    if not is_in_task:
        raise StorageError(
            "storage was called outside of asyncio: its operations run in a task of an asyncio event loop, such as "
            "asyncio.run(...) makes; other loops, such as trio's, cannot run them"
        )
