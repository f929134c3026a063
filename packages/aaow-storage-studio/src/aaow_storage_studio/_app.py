"""`studio_app`: the studio as an application that any ASGI server runs, and any other application mounts."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from aaow_storage import StorageAdapter
from aaow_storage.authoring import StoreMaintenance
from aaow_storage_studio._pages import ACTIONS, PAGES
from aaow_storage_studio._security.address_length import AddressLength
from aaow_storage_studio._security.hosts import AllowedHosts
from aaow_storage_studio._security.proxies import ForwardedScheme
from aaow_storage_studio._security.redaction import RedactedAdapter
from aaow_storage_studio._security.response_headers import ResponseHeaders
from aaow_storage_studio._security.same_origin import SameOrigin
from aaow_storage_studio._security.sign_in import SignIn
from aaow_storage_studio._settings import StudioSettings
from aaow_storage_studio._web.live import Live
from aaow_storage_studio._web.pages import PageServer
from aaow_storage_studio._web.static_files import StaticFiles


def studio_app(
    storage: StorageAdapter, settings: StudioSettings | None = None, *, maintenance: StoreMaintenance | None = None
) -> Starlette:
    """Return the studio for a store, to be served, or mounted in a Starlette or FastAPI application.

        app.mount("/studio", studio_app(storage, StudioSettings(allowed_hosts=["agents.example"])))

    The adapter stays the caller's: it has to be open while the application serves, on the same event loop. Records are
    only read, but for requests for approval, which are decided if the settings allow that.

    Args:
        storage: the store.
        settings: what may be shown and done, and to whom; without, everything is shown to programs and people who
            address the studio by a name of this machine, and nothing can be decided.
        maintenance: what `maintenance_of` returns for the same store. Without it, the page of the store does not tell
            its sizes, its schema, and what a commit survives.
    """
    settings = settings or StudioSettings()
    redacted = RedactedAdapter(storage, settings.redact, allows_decisions=settings.allow_decisions)
    server = PageServer(redacted, settings, maintenance)

    async def start(request: Request) -> Response:
        return RedirectResponse(server.visit(request).url("sessions"))

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - it handles no other
        status = HTTPStatus(error.status_code)
        problem = "there is no such page" if status is HTTPStatus.NOT_FOUND else f"this page has no {request.method}"
        response = server.problem(server.visit(request), status, problem)
        response.headers.update(error.headers or {})
        return response

    middleware = [
        Middleware(ResponseHeaders),
        Middleware(AddressLength),
        Middleware(ForwardedScheme, proxies=settings.trusted_proxies),
        Middleware(AllowedHosts, allowed=settings.allowed_hosts),
    ]
    if settings.token is not None:
        middleware.append(Middleware(SignIn, token=settings.token))
    middleware.append(Middleware(SameOrigin))
    app = Starlette(
        routes=[
            Route("/", start),
            *(route for page in PAGES for route in server.routes(page)),
            Route("/live", Live(redacted).respond, methods=["GET"]),
            *(server.action_route(action) for action in ACTIONS),
            Route("/static/{path:path}", StaticFiles().respond, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refuse},
        middleware=middleware,
    )
    app.router.redirect_slashes = False  # its redirects would have the `Host` of the request in them
    return app
