"""Who decides: the studio's settings or a trusted proxy say so, never a field of a form."""

from starlette.requests import Request

from aaow_storage_studio._settings import StudioSettings


def decider_of(request: Request, settings: StudioSettings) -> str | None:
    """Return who a decision of this request is by; None if it may not decide."""
    if not settings.allow_decisions:
        return None
    if settings.decider_header is not None and request.client is not None:
        values = request.headers.getlist(settings.decider_header)
        if request.client.host in settings.trusted_proxies and len(values) == 1 and values[0].strip():
            return values[0].strip()
    return settings.decides_as
