"""Who decides: the studio's settings or a trusted proxy say so, never a field of a form."""

from starlette.requests import Request

from aaow_storage_studio._security.proxies import is_from_proxy
from aaow_storage_studio._settings import StudioSettings


def decider_of(request: Request, settings: StudioSettings) -> str | None:
    """Return who a decision of this request is by; None if it may not decide.

    A header of a trusted proxy that is there twice names nobody: one of the two came from the browser.
    """
    if not settings.allow_decisions:
        return None
    if settings.decider_header is not None and is_from_proxy(request.scope, settings.trusted_proxies):
        values = [name for value in request.headers.getlist(settings.decider_header) if (name := _decoded(value))]
        if values:
            return values[0] if len(values) == 1 else None
    return settings.decides_as


def _decoded(header: str) -> str:
    """Return a header, of which the server made Latin-1, as the UTF-8 that proxies send."""
    try:
        return header.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        return header.strip()
