"""Agno: one session for each append, with the payload as its data."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agno.db.postgres import AsyncPostgresDb
from agno.db.sqlite import AsyncSqliteDb
from agno.session import AgentSession
from harness import PAYLOAD, Append, for_asyncio, measure, path_of


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Append]:
    is_file = url.startswith("sqlite:")
    db = AsyncSqliteDb(db_file=path_of(url)) if is_file else AsyncPostgresDb(db_url=for_asyncio(url))

    async def append(number: int) -> None:
        now = int(time.time())
        session = AgentSession(
            session_id=f"session-{number}", agent_id="agent", session_data=PAYLOAD, created_at=now, updated_at=now
        )
        await db.upsert_session(session)

    yield append
    await db.close()


measure("agno", opened)
