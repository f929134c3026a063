"""`studio_app`: the studio as an application that any ASGI server runs, and any other application mounts."""

from importlib.resources import files

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from aaow_storage import StorageAdapter
from aaow_storage_studio._pages import PAGES
from aaow_storage_studio._security.hosts import AllowedHosts
from aaow_storage_studio._security.redaction import RedactedAdapter
from aaow_storage_studio._security.response_headers import ResponseHeaders
from aaow_storage_studio._security.same_origin import SameOrigin
from aaow_storage_studio._security.sign_in import SignIn
from aaow_storage_studio._settings import StudioSettings
from aaow_storage_studio._web.live import Live
from aaow_storage_studio._web.pages import PageServer

STATIC = str(files("aaow_storage_studio") / "static")


def studio_app(storage: StorageAdapter, settings: StudioSettings | None = None) -> Starlette:
    """Return the studio for a store, to be served, or mounted in a Starlette or FastAPI application.

        app.mount("/studio", studio_app(storage, StudioSettings(allowed_hosts=["agents.example"])))

    The adapter stays the caller's: it has to be open while the application serves, on the same event loop. Records are
    only read, but for requests for approval, which are decided if the settings allow that.

    Args:
        storage: the store.
        settings: what may be shown and done, and to whom; without, everything is shown to programs and people who
            address the studio by a name of this machine, and nothing can be decided.
    """
    settings = settings or StudioSettings()
    redacted = RedactedAdapter(storage, settings.redact)
    server = PageServer(redacted, settings)

    async def start(request: Request) -> Response:
        return RedirectResponse(server.visit(request).url("sessions"))

    middleware = [Middleware(ResponseHeaders), Middleware(AllowedHosts, allowed=settings.allowed_hosts)]
    if settings.token is not None:
        middleware.append(Middleware(SignIn, token=settings.token))
    middleware.append(Middleware(SameOrigin))
    return Starlette(
        routes=[
            Route("/", start),
            *(route for page in PAGES for route in server.routes(page)),
            Route("/live", Live(redacted).respond, methods=["GET"]),
            Mount("/static", StaticFiles(directory=STATIC), name="static"),
        ],
        middleware=middleware,
    )
