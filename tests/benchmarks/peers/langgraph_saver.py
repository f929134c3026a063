"""LangGraph: one checkpoint for each append, each of a thread of its caller."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness import PAYLOAD, Append, measure
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Append]:
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()

        async def append(number: int) -> None:
            config = {"configurable": {"thread_id": f"thread-{number % 64}", "checkpoint_ns": ""}}
            checkpoint = {**empty_checkpoint(), "channel_values": {"state": PAYLOAD}}
            await saver.aput(config, checkpoint, {"source": "loop", "step": number, "parents": {}}, {})

        yield append


measure("langgraph-checkpoint-sqlite", opened)
