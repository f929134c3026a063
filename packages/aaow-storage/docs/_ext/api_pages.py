"""Write one page a public module, with every name of its `__all__`, before Sphinx reads the pages.

The pages are `api/*.rst`; they are made anew by each build and not committed.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

MODULES = [
    "aaow_storage",
    "aaow_storage.sync",
    "aaow_storage.errors",
    "aaow_storage.hookspecs",
    "aaow_storage.authoring",
    "aaow_storage_memory",
    "aaow_storage_sql",
    "aaow_storage_tools",
    "aaow_storage_studio",
    "aaow_storage_conformance",
    "aaow_storage_postgresql.testing",
    "aaow_storage_mariadb.testing",
]
INTRODUCTION = """
These pages are made from the docstrings. The hand-written :doc:`reference <../reference>` has the same names with
examples, and :doc:`the contract <../contract>` says what the operations guarantee.
"""
IS_ELSEWHERE = {"aaow_storage": "aaow_storage.errors"}
"""A module whose exceptions are documented on the page of another."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write the page of each module, and one that lists them."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    for name in MODULES:
        _write(folder / f"{name}.rst", "\n".join(page_of(importlib.import_module(name))))
    listed = "\n".join(f"   {name}" for name in MODULES)
    _write(folder / "index.rst", f"{_title('API', '=')}{INTRODUCTION}\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n")


def page_of(module: ModuleType) -> Iterator[str]:
    """Yield the lines of a module's page: its docstring, then its names by what they are."""
    yield _title(module.__name__, "=")
    yield f".. automodule:: {module.__name__}\n"
    sections: dict[str, list[str]] = {title: [] for title in _OPTIONS}
    for name in sorted(module.__all__, key=str.lower):
        sections[_section(getattr(module, name))].append(name)
    elsewhere = IS_ELSEWHERE.get(module.__name__)
    if elsewhere:
        sections["Exceptions"] = []
    for title, names in sections.items():
        if names:
            yield _title(title, "-")
        for name in names:
            directive, *options = _OPTIONS[title]
            if directive == "data":
                yield from _data(module, name)
                continue
            yield f".. {directive}:: {module.__name__}.{name}"
            yield from (f"   {option}" for option in options)
            yield ""
    if elsewhere:
        yield _title("Exceptions", "-")
        yield f"They are in :doc:`{elsewhere}`, and can be imported from ``{module.__name__}`` too.\n"


_OPTIONS: dict[str, tuple[str, ...]] = {
    "Functions": ("autofunction",),
    "Abstract classes": ("autoclass", ":members:", ":show-inheritance:"),
    "Records and other classes": ("autoclass", ":members:"),
    "Changes": ("autoclass", ":members:", ":undoc-members:"),
    "Enumerations": ("autoclass", ":members:", ":undoc-members:"),
    "Exceptions": ("autoexception", ":show-inheritance:"),
    "Classes of tests": ("autoclass",),
    "Data and types": ("data",),
}


def _section(value: object) -> str:
    if not inspect.isclass(value):
        return "Functions" if inspect.isroutine(value) else "Data and types"
    if issubclass(value, BaseException):
        return "Exceptions"
    if issubclass(value, Enum):
        return "Enumerations"
    if hasattr(value, "__total__"):
        return "Changes"
    if value.__name__.endswith("Tests"):
        return "Classes of tests"
    return "Abstract classes" if inspect.isabstract(value) else "Records and other classes"


def _data(module: ModuleType, name: str) -> Iterator[str]:
    """Describe a constant or an alias of a type, with the docstring that stands below it where it is defined."""
    yield f".. py:data:: {name}"
    yield f"   :module: {module.__name__}"
    value = getattr(module, name)
    if isinstance(value, str | int):
        yield f"   :value: {value!r}"
    yield ""
    yield from (f"   {line}" for line in _docstring_of_data(module.__name__.partition(".")[0], name))
    yield ""


def _docstring_of_data(package: str, name: str) -> list[str]:
    for module in sorted(sys.modules):
        if module == package or module.startswith(f"{package}."):
            docstrings = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", name) in docstrings:
                return docstrings["", name]
    return []


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _write(path: Path, text: str) -> None:
    """Write a page if it has changed, so that Sphinx reads only such pages again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
