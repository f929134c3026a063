"""Refuses writes that a page of another site has made the browser send."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

READING = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = "this came from another site; open the page in the studio itself, and decide there"


class SameOrigin:
    """Answers 403 to a request that writes and is not known to come from a page of the studio."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] not in READING and not is_same_origin(Request(scope)):
            await PlainTextResponse(REFUSED, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_same_origin(request: Request) -> bool:
    """Say whether the browser says that a page of the studio sent the request.

    Browsers send both headers with every form. One that is there and wrong, or there twice, refuses the request, and
    so does a request with neither.
    """
    sites, origins = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    if not sites and not origins:
        return False
    own = f"{request.scope['scheme']}://{request.headers.get('host', '')}".lower()
    return sites in ([], ["same-origin"]) and [origin.lower() for origin in origins] in ([], [own])
