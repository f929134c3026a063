"""Agno: one session for each append, with the payload as its data."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agno.db.sqlite import AsyncSqliteDb
from agno.session import AgentSession
from harness import PAYLOAD, Append, measure


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Append]:
    db = AsyncSqliteDb(db_file=str(path))

    async def append(number: int) -> None:
        now = int(time.time())
        session = AgentSession(
            session_id=f"session-{number}", agent_id="agent", session_data=PAYLOAD, created_at=now, updated_at=now
        )
        await db.upsert_session(session)

    yield append
    await db.close()


measure("agno", opened)
