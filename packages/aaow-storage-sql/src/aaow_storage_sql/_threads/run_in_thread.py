"""Functions on threads of their own: those of a loop's default executor may all be busy with the program's own work."""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from aaow_storage_sql._threads.thread import start_thread

T = TypeVar("T")


def run_in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function on a thread of its own, and return the future of the running loop that gets what comes of it.

    The thread is gone when the future is done. The function is run to its end even where the future is cancelled, or
    its loop closed.

    Raises:
        StorageUnavailableError: no thread can be started.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        settle: Callable[[], object]
        try:
            settle = partial(future.set_result, context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            settle = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(end, settle)

    def end(settle: Callable[[], object]) -> None:
        thread.join()  # this was the last that it did
        if not future.done():
            settle()

    thread = start_thread(name, run)
    return future


async def wait_despite_cancellation(future: asyncio.Future[T], longest: float) -> None:
    """Wait until a future is done, or for that many seconds; cancellations that come meanwhile are dropped.

    It is for a task that is being cancelled, and raises `CancelledError` afterwards in any case.
    """
    deadline = asyncio.get_running_loop().time() + longest
    while not future.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future], timeout=left)
    if future.done() and not future.cancelled():
        future.exception()  # it has no reader
