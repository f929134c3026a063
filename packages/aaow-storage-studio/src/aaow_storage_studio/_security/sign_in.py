"""Signing in: a token in the URL is exchanged, once, for a cookie that scripts and other sites cannot use."""

import hmac
import secrets
from collections import OrderedDict
from html import escape
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from aaow_storage_studio._security.hosts import name_and_port

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
        token = request.query_params.get("token") if request.method == "GET" else None
        is_known = self._is_known(request.cookies.get(_cookie_name(request)))
        if token is not None and self._is_right(token):
            await self._signed_in(request)(scope, receive, send)
        elif not is_known:
            await PlainTextResponse(REFUSED, 401)(scope, receive, send)
        elif token is not None:  # the browser is signed in, and opens the printed address again
            await RedirectResponse(_without_token(request), 303)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

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
        """Return a response that sets the cookie, and leads to the same page, without the token."""
        cookie = secrets.token_urlsafe(32)
        self._browsers[cookie] = None
        if len(self._browsers) > MAX_BROWSERS:
            self._browsers.popitem(last=False)
        response = _leading_to(_without_token(request), request)
        response.set_cookie(
            _cookie_name(request),
            cookie,
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
            path=request.scope.get("root_path") or "/",
        )
        return response


def _leading_to(url: str, request: Request) -> Response:
    """Return a redirect; a page that goes on by itself if a page of another site has the link that was followed.

    A browser that follows a redirect from there does not send the cookie, which is for this site alone.
    """
    if request.headers.get("sec-fetch-site") not in {"cross-site", "same-site"}:
        return RedirectResponse(url, 303)
    where = escape(url)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><title>Signed in</title>'
        f'<meta http-equiv="refresh" content="0;url={where}"></head>'
        f'<body><p><a href="{where}">Go on to the studio</a></p></body></html>'
    )


def _without_token(request: Request) -> str:
    """Return the URL of a request without the token; it begins with one slash, so that it is on this site."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    path = "/" + quote(request.scope["path"].lstrip("/\\"))
    return path + (f"?{urlencode(others)}" if others else "")


def _cookie_name(request: Request) -> str:
    """Return the name of the cookie; it has the port, because cookies of all ports of a machine lie together."""
    _, port = name_and_port(request.headers.get("host", ""))
    return f"{COOKIE}-{port}" if port else COOKIE
