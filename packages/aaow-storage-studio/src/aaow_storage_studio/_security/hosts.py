"""Refuses requests that address the studio by a name it does not have.

A page of another site can let its own name resolve to this machine (DNS rebinding). Its requests then come from the
visitor's browser with that name in `Host`, and the browser lets the page read the answers.
"""

import re
from collections.abc import Collection

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s\[\]:@/\\?#]+)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
REFUSED = "this studio has another name; add this one with --allowed-host, or open the address that the studio printed"


class AllowedHosts:
    """Answers 421 if a request has not exactly one `Host`, or its name, without the port, is not in the list."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            await PlainTextResponse(REFUSED, 421)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        name, _ = name_and_port(hosts[0])
        return name is not None and (name in self._allowed or "*" in self._allowed)


def name_and_port(host: str) -> tuple[str | None, str | None]:
    """Return the name in a `Host`, in lower case, and its port, if it has one; no name if it is malformed."""
    match = _HOST.fullmatch(host)
    return (None, None) if match is None else (match["name"].lower(), match["port"])
