"""`new_backend`: a package for a backend of one's own, which passes the conformance suite from the first minute."""

import re
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import frozen

from aaow_storage import ConflictError, ValidationError, available_backends

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RESERVED = {"conformance", "file", "postgres", "sql", "tools"}
"""Names that are taken by distributions of this project, or by URLs of its backends."""
_OF_BOTH = {
    "waivers.toml": "waivers.toml",
    ".github/workflows/test.yml": "test.yml",
    "src/@MODULE@/__init__.py": "__init__.py",
    "src/@MODULE@/py.typed": None,
}
"""The files of both forms, each with its template; None for an empty file."""
_OF_ROWS = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/@MODULE@/_rows.py": "_rows.py",
    "src/@MODULE@/_operations.py": "_operations.py",
    "src/@MODULE@/_adapter.py": "_adapter.py",
    "src/@MODULE@/_maintenance.py": "_maintenance.py",
    "src/@MODULE@/plugin.py": "plugin.py",
    "tests/test_backend.py": "test_backend.py",
}
_OF_SQL = {
    "pyproject.toml": "sql/pyproject.toml",
    "README.md": "sql/README.md",
    "src/@MODULE@/_errors.py": "sql/_errors.py",
    "src/@MODULE@/_dialect.py": "sql/_dialect.py",
    "src/@MODULE@/_connection.py": "sql/_connection.py",
    "src/@MODULE@/_settings.py": "sql/_settings.py",
    "src/@MODULE@/_server.py": "sql/_server.py",
    "src/@MODULE@/_executor.py": "sql/_executor.py",
    "src/@MODULE@/plugin.py": "sql/plugin.py",
    "tests/test_backend.py": "sql/test_backend.py",
}


@frozen(kw_only=True)
class NewBackendReport:
    """A package that was made.

    Attributes:
        name: the name of the backend, and the scheme of its URLs.
        distribution: the name of the distribution.
        folder: where it is.
        files: the files in it.
    """

    name: str
    distribution: str
    folder: Path
    files: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "folder": str(self.folder),
            "files": list(self.files),
        }


def new_backend(name: str, folder: str | PathLike[str] | None = None, *, sql: bool = False) -> NewBackendReport:
    """Write a package for a new backend into a folder that is not there, or is empty.

    The package has the backend, its entry point, tests, waivers, a README and a workflow for continuous integration.
    The backend is that of the guide for authors: it keeps rows in memory, and passes the conformance suite for what it
    claims. With `sql` it is that of the guide for SQL engines, on `aaow-storage-sql`, which has the tables, the
    operations, the migrations and the threads; its database is SQLite, used as if it were a server, until yours is in
    its place.

    Args:
        name: the name of the backend: lower-case letters, digits, and single hyphens between them.
        folder: where to write it; `aaow-storage-NAME` in the current folder by default.
        sql: whether it is for a SQL database.

    Raises:
        ValidationError: the name cannot be that of a backend, or is taken by an installed one.
        ConflictError: the folder has files; nothing was written.
    """
    if _NAME.fullmatch(name) is None:
        problem = f"must be lower-case letters and digits, with single hyphens between them, not {name!r}"
        raise ValidationError("new_backend", "name", problem)
    if name in _RESERVED or name in available_backends():
        raise ValidationError("new_backend", "name", f"{name!r} is taken; choose another name")
    distribution = f"aaow-storage-{name}"
    target = Path(distribution) if folder is None else Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ConflictError(f"{target} is there already, and is not empty; nothing was written: choose another folder")
    marks = {
        "@NAME@": name,
        "@DISTRIBUTION@": distribution,
        "@MODULE@": distribution.replace("-", "_"),
        "@CLASS@": "".join(part.capitalize() for part in name.split("-")),
        "@RELEASE@": version("aaow-storage"),
    }
    written = []
    for place, template in {**_OF_BOTH, **(_OF_SQL if sql else _OF_ROWS)}.items():
        path = target / _filled(place, marks)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if template is None else _filled(_template(template), marks), "utf-8")
        written.append(path.relative_to(target).as_posix())
    return NewBackendReport(name=name, distribution=distribution, folder=target, files=tuple(sorted(written)))


def _template(name: str) -> str:
    return files(__package__).joinpath("templates", *f"{name}.template".split("/")).read_text("utf-8")


def _filled(text: str, marks: dict[str, str]) -> str:
    for mark, word in marks.items():
        text = text.replace(mark, word)
    return text
