"""`serve_studio`: serves a studio by itself, and signs browsers in by an address that works once."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import uvicorn
from attrs import evolve
from starlette.types import ASGIApp

from aaow_storage import StorageAdapter
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_studio._app import studio_app
from aaow_storage_studio._settings import LOOPBACK, StudioSettings

GRACE_S = 2
"""How long open pages may hold up the end, in whole seconds."""


async def serve_studio(
    storage: StorageAdapter,
    settings: StudioSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    announce: Callable[[str], None],
    maintenance: StoreMaintenance | None = None,
) -> None:
    """Serve a store until the task is cancelled.

    Args:
        storage: the store, which is open, and stays the caller's.
        settings: what may be shown and done, and to whom. A token is made if it has none.
        host: the address to listen at. One that other machines reach is also a host that requests may name.
        port: the port; a free one if it is 0.
        announce: is called with the address to open, once it is listened at. It has the token, and works once.
        maintenance: what `maintenance_of` returns for the same store, for the page of the store.

    Raises:
        OSError: the address cannot be listened at, such as when the port is taken.
    """
    shown = f"[{host}]" if ":" in host else host
    token = settings.token or secrets.token_urlsafe(32)
    allowed = (*settings.allowed_hosts, *({shown, *LOOPBACK} - set(settings.allowed_hosts)))
    allowing = evolve(settings, token=token, allowed_hosts=allowed)
    app = studio_app(storage, allowing, maintenance=maintenance)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        server = _Server(_config(app))
        announce(f"http://{shown}:{listening.getsockname()[1]}/?{urlencode({'token': token})}")
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await asyncio.wait([serving])


def _config(app: ASGIApp) -> uvicorn.Config:
    """Return how the application is served: nothing is taken from `X-Forwarded-For`, which anybody can send."""
    return uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Server(uvicorn.Server):
    """A server that leaves signals to the program that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
