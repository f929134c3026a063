"""LangGraph: one checkpoint for each append, each of a thread of its caller."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from harness import PAYLOAD, Append, measure, path_of
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


def saver_at(url: str) -> AbstractAsyncContextManager[Any]:
    if url.startswith("postgresql:"):
        return AsyncPostgresSaver.from_conn_string(url)
    return AsyncSqliteSaver.from_conn_string(path_of(url))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Append]:
    async with saver_at(url) as saver:
        await saver.setup()

        async def append(number: int) -> None:
            config = {"configurable": {"thread_id": f"thread-{number % 64}", "checkpoint_ns": ""}}
            checkpoint = {**empty_checkpoint(), "channel_values": {"state": PAYLOAD}}
            await saver.aput(config, checkpoint, {"source": "loop", "step": number, "parents": {}}, {})

        yield append


measure("langgraph-checkpoint-sqlite", opened)
