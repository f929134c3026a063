"""Signing in: a token in the URL is exchanged, once, for a cookie that scripts and other sites cannot use."""

import hmac
import secrets
from collections import OrderedDict
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "aaow-studio"
MAX_BROWSERS = 100
"""How many browsers are signed in at most; the one that signed in first is signed out."""
REFUSED = (
    "Sign in with the address that the studio printed when it started. It works once: for another browser, or a new "
    "address, start the studio again."
)


class SignIn:
    """Lets requests through that have the cookie of a browser that has shown the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token: str | None = token
        self._browsers: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        token = request.query_params.get("token")
        if token is not None and request.method == "GET" and self._is_right(token):
            await self._signed_in(request)(scope, receive, send)
        elif self._is_known(request.cookies.get(COOKIE)):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(REFUSED, 401)(scope, receive, send)

    def _is_right(self, token: str) -> bool:
        if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
            return False
        self._token = None
        return True

    def _is_known(self, cookie: str | None) -> bool:
        return cookie is not None and any(
            hmac.compare_digest(cookie.encode(), each.encode()) for each in self._browsers
        )

    def _signed_in(self, request: Request) -> Response:
        """Return a redirect to the same page, without the token, that sets the cookie."""
        cookie = secrets.token_urlsafe(32)
        self._browsers[cookie] = None
        if len(self._browsers) > MAX_BROWSERS:
            self._browsers.popitem(last=False)
        others = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        root = request.scope.get("root_path", "")
        response = RedirectResponse(request.url.path + (f"?{urlencode(others)}" if others else ""), 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=is_secure, path=root or "/")
        return response
