"""`Visit`: a request for a page, and what the page needs to answer it."""

from typing import Any
from urllib.parse import quote, urlencode

from attrs import evolve, frozen
from starlette.requests import Request

from aaow_storage.authoring import StoreMaintenance
from aaow_storage_studio._security.deciders import decider_of
from aaow_storage_studio._security.redaction import RedactedAdapter
from aaow_storage_studio._settings import StudioSettings


@frozen
class Visit:
    """A request for a page.

    Attributes:
        request: the request.
        storage: the store, whose records are redacted. Pages read it, and decide; they do nothing else with it.
        settings: what the studio may show and do.
        maintenance: what only the backend knows of the store; None if the program that serves it has not given it.
        position: that of the last change of the store before the page was read; None if the store has no change feed.
    """

    request: Request
    storage: RedactedAdapter
    settings: StudioSettings
    position: str | None = None
    maintenance: StoreMaintenance | None = None

    def text(self, name: str) -> str:
        """Return a parameter of the URL, empty if it is not there; the last of several counts."""
        return self.request.query_params.get(name, "").strip()

    def required(self, name: str) -> str:
        """Return a parameter of the URL.

        Raises:
            MissingParameterError: it is not there.
        """
        value = self.request.query_params.get(name)
        if not value:
            raise MissingParameterError(name)
        return value

    def url(self, path: str, **parameters: str | int | None) -> str:
        """Return the URL of a page, such as `url("session", id=session.id)`; parameters that are None are left out."""
        given = [(name, str(value)) for name, value in parameters.items() if value is not None]
        return f"{self._root}/{quote(path)}{f'?{urlencode(given)}' if given else ''}"

    def same_url(self, **changes: str | int | None) -> str:
        """Return the URL of this page with other parameters; those that are None are left out."""
        parameters: dict[str, Any] = {**self.request.query_params, **changes}
        return self.url(self.page_path, **parameters)

    @property
    def page_path(self) -> str:
        """The path of the page, without the studio's own beginning and without `.json`."""
        path: str = self.request.scope["path"]
        return path.removeprefix(self._root).strip("/").removesuffix(".json")

    @property
    def _root(self) -> str:
        root: str = self.request.scope.get("root_path", "")
        return root

    def of_page(self, path: str, **parameters: str) -> "Visit":
        """Return a visit of another page, for the answer to a form, whose links are those of that page."""
        place = {"method": "GET", "path": f"{self._root}/{path}", "query_string": urlencode(parameters).encode()}
        return evolve(self, request=Request({**self.request.scope, **place}))

    @property
    def json_url(self) -> str:
        """The URL of the JSON of this page."""
        parameters: dict[str, Any] = dict(self.request.query_params)
        return self.url(f"{self.page_path}.json", **parameters)

    @property
    def decider(self) -> str | None:
        """Who decides, if this request may."""
        return decider_of(self.request, self.settings)

    def live_url(self, **parameters: str | None) -> str | None:
        """Return where the page gets news from, of a `session` or of `kinds` with commas; None if there is no feed.

        The news begin where the page was read, so that none is missed in between.
        """
        return None if self.position is None else self.url("live", after=self.position, **parameters)


class MissingParameterError(Exception):
    """A page was asked for without a parameter that it needs.

    Attributes:
        name: the parameter.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the address of this page needs ?{self.name}=..."
