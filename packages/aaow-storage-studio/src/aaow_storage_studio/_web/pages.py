"""Pages: each is a function that reads what the page shows, and a template; its JSON comes from the same function."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from attrs import evolve, frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from aaow_storage.authoring import StoreMaintenance, redacted_text
from aaow_storage.errors import NotFoundError, StorageError, UnsupportedOperationError, ValidationError
from aaow_storage_studio._security.forms import FormError, read_form
from aaow_storage_studio._security.redaction import RedactedAdapter
from aaow_storage_studio._settings import StudioSettings
from aaow_storage_studio._web.live import last_position
from aaow_storage_studio._web.rendering import Templates
from aaow_storage_studio._web.visit import MissingParameterError, Visit
from aaow_storage_tools import QueryError

Read = Callable[[Visit], Awaitable[Any]]
"""Reads what a page shows: an object whose `to_dict` returns all of it as JSON; the template gets it as `view`."""

SCHEMA = 1
"""The version of the JSON of all pages. New keys may come without a new number."""

_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (MissingParameterError, HTTPStatus.BAD_REQUEST),
    (QueryError, HTTPStatus.BAD_REQUEST),
    (ValidationError, HTTPStatus.BAD_REQUEST),
    (UnsupportedOperationError, HTTPStatus.NOT_IMPLEMENTED),
    (StorageError, HTTPStatus.SERVICE_UNAVAILABLE),
)


@frozen
class Page:
    """A page.

    Attributes:
        path: where it is, such as `"sessions"`; its JSON is at the same path with `.json`.
        template: the file of its template.
        read: reads what it shows.
    """

    path: str
    template: str
    read: Read


Act = Callable[["PageServer", Visit, str, Mapping[str, str]], Awaitable[Response]]
"""Does what a form asks for, by the name of who decides, and answers."""

READ_ONLY = (
    "this studio only shows the store: nobody decides here; start it with --allow-decisions and --as YOUR-NAME, or "
    "decide with `aaow-storage approve` or `aaow-storage reject`"
)
NOBODY = (
    "nobody is named who decides: the request did not come through a trusted proxy that says who sent it; open the "
    "studio at the address of the proxy"
)


@frozen
class Action:
    """What a form does.

    Attributes:
        path: where it is sent to, such as `"approval/decide"`.
        act: does it.
        page: the page that the links of its errors are those of.
    """

    path: str
    act: Act
    page: str


class PageServer:
    """Answers requests for pages."""

    def __init__(
        self, storage: RedactedAdapter, settings: StudioSettings, maintenance: StoreMaintenance | None = None
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._maintenance = maintenance
        self._templates = Templates()

    def routes(self, page: Page) -> list[Route]:
        """Return the routes of a page: as HTML and as JSON."""

        async def as_html(request: Request) -> Response:
            visit = evolve(self.visit(request), position=await last_position(self._storage))
            return await self._answer(page, visit, self._html)

        async def as_json(request: Request) -> Response:
            return await self._answer(page, self.visit(request), _json)

        return [
            Route(f"/{page.path}", as_html, methods=["GET"]),
            Route(f"/{page.path}.json", as_json, methods=["GET"]),
        ]

    def action_route(self, action: Action) -> Route:
        """Return the route of a form, which is refused before it is read if the studio only shows."""

        async def act(request: Request) -> Response:
            visit = self.visit(request)
            decider = visit.decider
            if decider is None:
                problem = NOBODY if self._settings.allow_decisions else READ_ONLY
                return self.problem(visit.of_page(action.page), HTTPStatus.FORBIDDEN, problem)
            try:
                return await action.act(self, visit, decider, await read_form(request))
            except FormError as error:
                return self.problem(visit.of_page(action.page), error.status, str(error))
            except Exception as error:  # noqa: BLE001 - raised again if it is none that a page says
                return self.error(visit.of_page(action.page), error)

        return Route(f"/{action.path}", act, methods=["POST"])

    def visit(self, request: Request) -> Visit:
        """Return what a page needs to answer a request."""
        return Visit(request, self._storage, self._settings, maintenance=self._maintenance)

    def error(self, visit: Visit, error: Exception) -> Response:
        """Return the page that says what went wrong, as HTML or JSON."""
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
        if status is None:
            raise error
        return self.problem(visit, status, str(error))

    def problem(self, visit: Visit, status: HTTPStatus, problem: str) -> Response:
        """Return a page with a status other than 200, as HTML or JSON."""
        problem = self._storage.redacted(redacted_text(problem))
        if visit.request.scope["path"].endswith(".json"):
            return _json_response({"error": problem}, status)
        return self._html_response("error.html", visit, {"status": status, "problem": problem}, status)

    def rendered(self, template: str, visit: Visit, view: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
        """Return a page as HTML."""
        return self._html_response(template, visit, view, status)

    async def _answer(self, page: Page, visit: Visit, respond: Callable[[Page, Visit, Any], Response]) -> Response:
        try:
            view = await page.read(visit)
        except Exception as error:  # noqa: BLE001 - raised again if it is none that a page says
            return self.error(visit, error)
        return respond(page, visit, view)

    def _html(self, page: Page, visit: Visit, view: Any) -> Response:
        return self._html_response(page.template, visit, view, HTTPStatus.OK)

    def _html_response(self, template: str, visit: Visit, view: Any, status: HTTPStatus) -> Response:
        return HTMLResponse(self._templates.render(template, visit, view), status)


def _json(_page: Page, _visit: Visit, view: Any) -> Response:
    return _json_response(view.to_dict(), HTTPStatus.OK)


def _json_response(document: Mapping[str, Any], status: HTTPStatus) -> Response:
    text = json.dumps({"schema": SCHEMA, **document}, ensure_ascii=False, indent=2)
    return Response(text.encode("utf-8", "backslashreplace"), status, media_type="application/json")
