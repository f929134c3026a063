"""Refuses requests that address the studio by a name it does not have.

A page of another site can let its own name resolve to this machine (DNS rebinding). Its requests then come from the
visitor's browser with that name in `Host`, and the browser lets the page read the answers.
"""

from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class AllowedHosts:
    """Answers 421 if the `Host` of a request, without its port, is not in the list."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or "*" in self._allowed:
            await self._app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and name_of(hosts[0]) in self._allowed:
            await self._app(scope, receive, send)
            return
        problem = "this studio has another name; start it with --host to serve it under that one"
        await PlainTextResponse(problem, 421)(scope, receive, send)


def name_of(host: str) -> str:
    """Return a `Host` without its port, in lower case."""
    if host.startswith("["):
        return host[: host.find("]") + 1].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
