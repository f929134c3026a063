"""A studio that serves a store in a thread of its own, and what tests ask it."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn

from aaow_storage import NotOfferedError, StorageAdapter, create_adapter, maintenance_of
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_studio import StudioSettings, studio_app

PATIENCE_S = 20
Fill = Callable[[StorageAdapter], Awaitable[None]]


@dataclass
class Studio:
    """A studio that serves a store in a thread of its own."""

    url: str
    settings: StudioSettings
    storage: StorageAdapter
    loop: asyncio.AbstractEventLoop

    def do(self, work: Callable[[StorageAdapter], Awaitable[Any]]) -> Any:
        """Run `work(storage)` on the loop of the studio; return what it returns."""

        async def run() -> Any:
            return await work(self.storage)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE_S)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Ask for a page, as no browser does: without cookies, and without following redirects."""
        return httpx2.get(f"{self.url}{path}", **options)

    def json(self, path: str) -> Any:
        """Return the JSON of a page, which has to be there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, data: dict[str, str], **headers: str) -> httpx2.Response:
        """Send a form as a page of the studio does, unless headers say otherwise."""
        given = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", **headers}
        return httpx2.post(f"{self.url}{path}", data=data, headers=given)


def _maintenance_of(store: str) -> StoreMaintenance | None:
    try:
        return maintenance_of(store)
    except NotOfferedError:
        return None


@contextmanager
def serving(store: str, settings: StudioSettings, fill: Fill) -> Iterator[Studio]:
    """Fill a store, and serve it until the end of the block."""
    ready: Future[Studio] = Future()
    listening = socket.create_server(("127.0.0.1", 0))
    server: list[uvicorn.Server] = []

    async def serve() -> None:
        async with create_adapter(store) as storage:
            await fill(storage)
            config = uvicorn.Config(
                studio_app(storage, settings, maintenance=_maintenance_of(store)),
                log_level="error",
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
            server.append(uvicorn.Server(config))
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            ready.set_result(Studio(url, settings, storage, asyncio.get_running_loop()))
            await server[0].serve(sockets=[listening])

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="studio")
    thread.start()
    try:
        yield ready.result(PATIENCE_S)
    finally:
        for each in server:
            each.should_exit = True
        thread.join(PATIENCE_S)
        listening.close()


Serve = Callable[..., Studio]
"""Fills a store and serves it, as the fixture `serve` says."""
