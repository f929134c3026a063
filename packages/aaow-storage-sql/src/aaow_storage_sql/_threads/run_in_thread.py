"""Running a function on a thread of its own: the default executor of a loop may be busy with the program's own work."""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from aaow_storage_sql._threads.thread import start_thread

T = TypeVar("T")


def run_in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function on a new thread, and return a future of the running loop for its result or error.

    The thread has ended when the future is done. The function runs to its end even if the future is cancelled or the
    loop is closed.

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
        thread.join()  # the call of `end` was the last thing that it did
        if not future.done():
            settle()

    thread = start_thread(name, run)
    return future


async def wait_despite_cancellation(future: asyncio.Future[T], timeout_s: float) -> None:
    """Wait until a future is done, for that many seconds at most, and ignore cancellations meanwhile.

    Only for a task that is being cancelled, and raises `CancelledError` afterwards in any case.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not future.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future], timeout=left)
    if future.done() and not future.cancelled():
        future.exception()  # mark it as retrieved
