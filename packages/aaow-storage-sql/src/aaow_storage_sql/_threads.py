"""Functions on threads of their own: those of a loop's default executor may all be busy with the program's own work."""

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from aaow_storage_sql._endings import started

T = TypeVar("T")


def on_own_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function on a thread of its own, and return the future of the running loop that gets what comes of it.

    The function is run to its end even where the future is cancelled, or its loop closed.

    Raises:
        StorageUnavailableError: no thread can be started.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            settle = partial(_succeed, future, context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised again in the task that waits
            settle = partial(_fail, future, error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle)

    started(name, run)
    return future


def _succeed(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


async def wait_however_often_cancelled(future: asyncio.Future[T], longest: float) -> None:
    """Wait until a future is done, or for that many seconds; cancellations that come meanwhile are dropped.

    It is for a task that is being cancelled, and raises `CancelledError` afterwards in any case.
    """
    deadline = asyncio.get_running_loop().time() + longest
    while not future.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future], timeout=left)
    if future.done() and not future.cancelled():
        future.exception()  # it has no reader
