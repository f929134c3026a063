"""Server-sent events that tell a page that what it shows has changed; the page then asks for itself, and is patched."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from aaow_storage import Change, StorageAdapter
from aaow_storage.authoring import redacted_text
from aaow_storage.errors import StorageError

EVENT = "changed"
MIN_INTERVAL_S = 0.5
"""Time between two events of a page: what changes meanwhile is one event."""
KEEP_ALIVE_S = 15.0
MAX_FOLLOWERS = 200


FROM_THE_BEGINNING = ""
"""The position of a feed that has no change yet."""


async def last_position(storage: StorageAdapter) -> str | None:
    """Return the position that news of the store begin after; None if it has no change feed."""
    try:
        last = await storage.last_change()
    except StorageError:
        return None
    return FROM_THE_BEGINNING if last is None else last.position


class Live:
    """Follows the store's changes for the pages that are open."""

    def __init__(self, storage: StorageAdapter) -> None:
        self._storage = storage
        self._followers = 0

    async def respond(self, request: Request) -> Response:
        """Answer with events after the position `after`: of the session `session`, the `kinds` with commas, or all."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._followers >= MAX_FOLLOWERS:
            return PlainTextResponse("too many pages follow this store", HTTPStatus.SERVICE_UNAVAILABLE)
        session_id = request.query_params.get("session")
        kinds = [kind for kind in request.query_params.get("kinds", "").split(",") if kind] or None
        position = request.headers.get("last-event-id") or request.query_params.get("after") or None
        try:
            changes = self._storage.changes(position, kinds, session_id)
        except StorageError as error:
            return PlainTextResponse(redacted_text(str(error)), HTTPStatus.NOT_IMPLEMENTED)
        return StreamingResponse(self._events(changes), media_type="text/event-stream")

    async def _events(self, changes: AsyncGenerator[Change, None]) -> AsyncIterator[bytes]:
        self._followers += 1
        try:
            yield b": following\n\n"
            async for position in _bundled(changes):
                yield b": waiting\n\n" if position is None else f"id: {position}\nevent: {EVENT}\ndata: 1\n\n".encode()
        finally:
            self._followers -= 1


async def _bundled(changes: AsyncGenerator[Change, None]) -> AsyncIterator[str | None]:
    """Yield the position of the last of the changes that came together; None if there was none for a while.

    The iterator ends when the store is closed, or changes were pruned: the browser then asks again.
    """
    latest: str | None = None
    came = asyncio.Event()

    async def follow() -> None:
        nonlocal latest
        async with aclosing(changes):
            async for change in changes:
                latest = change.position
                came.set()

    following = asyncio.create_task(follow())
    following.add_done_callback(lambda _: came.set())
    try:
        while not following.done() or latest is not None:
            try:
                await asyncio.wait_for(came.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield None
                continue
            came.clear()
            if latest is not None:
                position, latest = latest, None
                yield position
                await asyncio.wait([following], timeout=MIN_INTERVAL_S)
    finally:
        following.cancel()
        await asyncio.wait([following])
        if not following.cancelled():
            following.exception()  # mark it as retrieved: the browser asks again, whatever it is
