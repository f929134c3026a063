"""Tasks with a new `contextvars` context, which inherit no transaction from the task that starts them."""

import asyncio
from collections.abc import Awaitable
from contextvars import Context
from typing import TypeVar

T = TypeVar("T")


def start_in_fresh_context(work: Awaitable[T]) -> asyncio.Task[T]:
    """Start a task in a new context, so that it does not count as started inside the current transaction."""
    return asyncio.create_task(_await(work), context=Context())


async def _await(work: Awaitable[T]) -> T:
    return await work
