"""Tasks that inherit no transaction: they are started with a context of their own."""

import asyncio
from collections.abc import Awaitable
from contextvars import Context
from typing import TypeVar

T = TypeVar("T")


def start_in_fresh_context(work: Awaitable[T]) -> asyncio.Task[T]:
    """Start a task as a program that knows nothing of the transactions of the present task would."""
    return asyncio.create_task(_awaited(work), context=Context())


async def _awaited(work: Awaitable[T]) -> T:
    return await work
