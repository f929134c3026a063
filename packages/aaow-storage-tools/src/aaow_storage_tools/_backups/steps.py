"""Passing on what a thread reports as the progress of a job."""

import asyncio
import time

from aaow_storage.authoring import StepCallback
from aaow_storage_tools._progress import Progress, ProgressCallback

_INTERVAL_S = 0.1


def steps_of(progress: ProgressCallback, what: str) -> StepCallback:
    """Return a callback for any thread that reports bytes to a callback of the running loop, now and then."""
    loop = asyncio.get_running_loop()
    told_at = 0.0

    def tell(done: int, total: int | None) -> None:
        nonlocal told_at
        now = time.monotonic()
        if done == total or now - told_at >= _INTERVAL_S:
            told_at = now
            loop.call_soon_threadsafe(progress, Progress(what=what, done=done, total=total, unit="bytes"))

    return tell
