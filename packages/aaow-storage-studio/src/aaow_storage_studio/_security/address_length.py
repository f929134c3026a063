"""Refuses addresses that are longer than any that the studio makes."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_ADDRESS_BYTES = 32 * 1024
REFUSED = f"the address is longer than {MAX_ADDRESS_BYTES // 1024} KiB; shorten the filter"


class AddressLength:
    """Answers 414 if the path and the query of a request are too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and len(scope["path"]) + len(scope["query_string"]) > MAX_ADDRESS_BYTES:
            await PlainTextResponse(REFUSED, 414)(scope, receive, send)
            return
        await self._app(scope, receive, send)
