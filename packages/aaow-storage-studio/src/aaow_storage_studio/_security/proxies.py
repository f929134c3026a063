"""What a trusted proxy says of the browser's connection to it: whether that is encrypted."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


def is_from_proxy(scope: Scope, proxies: Collection[str]) -> bool:
    """Say whether a request comes from an address of a trusted proxy.

    The address is that of the connection. A server that replaces it by what `X-Forwarded-For` says must not do so
    here, because anybody can send that header.
    """
    client = scope.get("client")
    return client is not None and client[0] in proxies


class ForwardedScheme:
    """Takes `X-Forwarded-Proto` of a trusted proxy as the scheme of a request: cookies and origins depend on it."""

    def __init__(self, app: ASGIApp, proxies: Collection[str]) -> None:
        self._app = app
        self._proxies = frozenset(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and is_from_proxy(scope, self._proxies):
            schemes = Headers(scope=scope).getlist("x-forwarded-proto")
            if schemes in (["http"], ["https"]):
                scope = {**scope, "scheme": schemes[0]}
        await self._app(scope, receive, send)
