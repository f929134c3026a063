"""Serves a studio: opens the store, signs one browser in by a printed address, and ends at Ctrl-C."""

import secrets
import socket
from collections.abc import Callable
from urllib.parse import urlencode

import uvicorn
from attrs import evolve

from aaow_storage import StorageAdapter
from aaow_storage_studio._app import studio_app
from aaow_storage_studio._settings import LOOPBACK, StudioSettings

GRACE_S = 2
"""How long open pages may hold up the end."""


async def serve(
    storage: StorageAdapter,
    settings: StudioSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    announce: Callable[[str], None],
) -> None:
    """Serve a store that is open until the task is cancelled, or the process gets SIGINT or SIGTERM.

    Args:
        storage: the store.
        settings: what may be shown and done. A token is made if it has none.
        host: the address to listen at. If it is not one of this machine alone, its name is the one allowed host.
        port: the port; a free one if it is 0.
        announce: is called with the address to open, which has the token and works once.

    Raises:
        OSError: the address cannot be listened at, such as when the port is taken.
    """
    is_local = host in {"127.0.0.1", "localhost", "::1"}
    shown = f"[{host}]" if ":" in host else host
    allowed = settings.allowed_hosts if is_local else (*settings.allowed_hosts, shown, *LOOPBACK)
    token = settings.token or secrets.token_urlsafe(32)
    app = studio_app(storage, evolve(settings, token=token, allowed_hosts=tuple(allowed)))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        announce(f"http://{shown}:{listening.getsockname()[1]}/?{urlencode({'token': token})}")
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=GRACE_S)
        await uvicorn.Server(config).serve(sockets=[listening])
