"""A session that is made to be deleted at once, with what was moved into it: so single records can be deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aaow_storage import Session, Transaction


@asynccontextmanager
async def short_session(storage: Transaction) -> AsyncIterator[Session]:
    """Return a session for `async with`, at whose end it is deleted with its events."""
    session = Session(workflow_id=None, workflow_snapshot={})
    await storage.create_session(session)
    yield session
    await storage.delete_session(session.id)
