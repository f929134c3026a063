"""OpenAI Agents: one item for each append, on 64 sessions that share an engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.extensions.memory import SQLAlchemySession
from harness import PAYLOAD, Append, for_asyncio, measure
from sqlalchemy.ext.asyncio import create_async_engine


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Append]:
    engine = create_async_engine(for_asyncio(url))
    sessions = [SQLAlchemySession(f"session-{n}", engine=engine, create_tables=True) for n in range(64)]

    async def append(number: int) -> None:
        item = {"role": "user", "content": PAYLOAD["messages"][0]["content"] + PAYLOAD["messages"][1]["content"]}
        await sessions[number % 64].add_items([item])

    yield append
    await engine.dispose()


measure("openai-agents", opened)
