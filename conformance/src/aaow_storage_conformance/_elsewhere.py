"""The other end of `Store.elsewhere`: a process that runs one coroutine function on an adapter of its own."""

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aaow_storage import create_adapter, register_plugin

Function = Callable[..., Awaitable[Any]]


async def run(
    plugins: Sequence[object], store: tuple[str, str | None, dict[str, Any]], function: Function, args: Any, kwargs: Any
) -> object:
    """Run the function on an initialized adapter of the store."""
    for plugin in plugins:
        register_plugin(plugin)
    backend, url, options = store
    async with create_adapter(backend, url, **options) as adapter:
        return await function(adapter, *args, **kwargs)


if __name__ == "__main__":
    result = asyncio.run(run(*pickle.load(sys.stdin.buffer)))  # noqa: S301 - written by the process that started this
    sys.stdout.buffer.write(pickle.dumps(result))
