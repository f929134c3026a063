"""Google ADK: one event for each append, on 64 sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.adk.events import Event
from google.adk.sessions import DatabaseSessionService
from google.genai import types
from harness import PAYLOAD, Append, for_asyncio, measure


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Append]:
    service = DatabaseSessionService(for_asyncio(url))
    sessions = [await service.create_session(app_name="app", user_id="user") for _ in range(64)]
    text = "".join(message["content"] for message in PAYLOAD["messages"])

    async def append(number: int) -> None:
        content = types.Content(role="user", parts=[types.Part(text=text)])
        await service.append_event(sessions[number % 64], Event(author="user", content=content))

    yield append
    await service.close()


measure("google-adk", opened)
