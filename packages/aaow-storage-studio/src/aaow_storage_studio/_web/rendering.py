"""Templates, in which everything is escaped, and a name that is not there is an error."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from aaow_storage import now
from aaow_storage_studio._web import folding, formats
from aaow_storage_studio._web.anchors import anchor
from aaow_storage_studio._web.visit import Visit


class Templates:
    """The templates of the package."""

    def __init__(self) -> None:
        self._environment = _environment()

    def render(self, template: str, visit: Visit, view: Any) -> str:
        """Return a page.

        A template has `view`, `visit`, `settings` and `now`, the function `anchor`, and the filters of `formats`.
        """
        names = {"view": view, "visit": visit, "settings": visit.settings, "now": now()}
        return self._environment.get_template(template).render(names)


@cache
def _environment() -> Environment:
    """Return the environment of all studios of a process, so that each template is compiled once."""
    environment = Environment(
        loader=PackageLoader("aaow_storage_studio"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols"],
    )
    environment.filters.update(formats.FILTERS, folded=folding.folded)
    environment.globals["anchor"] = anchor
    return environment
