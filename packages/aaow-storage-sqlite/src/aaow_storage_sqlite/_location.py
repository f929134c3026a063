"""The location of a SQLite store, a file or memory, parsed from a path, a `file:` URI or a `sqlite://` URL."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from attrs import frozen

from aaow_storage import new_id
from aaow_storage.authoring import redacted_url, text_problem
from aaow_storage.errors import ValidationError

DEFAULT_URL = "file:./aaow.db"
_MEMORY = ":memory:"
_SHARED_MEMORY = "shared-memory"
_FORMS = (
    "use a path, file:PATH, sqlite:///PATH, sqlite:// for memory of its own, or file::memory:?cache=shared for memory "
    "that adapters of this process share"
)
_LOGIN = re.compile(
    r"(?://)?[^/\\:]{2,}:.*@|(?:.*[\s&?;])?(?:password|passwd|sslpassword|pwd)\s*=", re.IGNORECASE | re.DOTALL
)
"""Matches text that begins like the login of a server, or names a password; hardly any path does."""


@frozen
class Location:
    """A store: the file at `path`, or if that is None, memory that the process knows by `memory_name`."""

    path: Path | None = None
    memory_name: str = ""
    creates: bool = True
    named: Path | None = None
    """The path as it was given, if `path` is the one with its symbolic links resolved."""
    file_mode: int | None = None
    """The permissions of a new file; None for SQLite's default, reduced by the umask."""

    @property
    def uri(self) -> str:
        """The URI to connect to. A store in memory has none before it has a folder."""
        return self._uri("rwc" if self.creates else "rw")

    @property
    def read_only_uri(self) -> str:
        """The URI of a connection that changes nothing, not even when it closes."""
        return self._uri("ro")

    def _uri(self, mode: str) -> str:
        return f"file:{quote(str(self.path))}?mode={mode}"

    def __str__(self) -> str:
        return "SQLite in memory" if self.path is None else str(self.named or self.path)


def parse_location(url: str | None) -> Location:
    """Return the location that a URL names; a relative path is made absolute now.

    Raises:
        ValidationError: the URL has another form, or an unknown parameter.
    """
    text = DEFAULT_URL if url is None else url
    if not isinstance(text, str):
        raise _invalid(f"must be str, not {type(text).__name__}; {_FORMS}")
    if not text or "\x00" in text or text_problem(text) is not None:
        raise _invalid(f"{redacted_url(text)!a} names no store: a path has no NUL and no lone surrogate; {_FORMS}")
    scheme, colon, rest = text.partition(":")
    match scheme.lower() if colon else "":
        case "file":
            return _parse_file_uri(text, rest)
        case "sqlite":
            return _parse_sqlite_url(text, rest)
    if rest.startswith("//"):
        raise _invalid(f"{redacted_url(text)!r} is a URL of another kind of store; {_FORMS}")
    if _LOGIN.match(text):
        raise _looks_like_login(text)
    return _memory() if text == _MEMORY else _file(text)


def _parse_file_uri(text: str, rest: str) -> Location:
    rest = rest.partition("#")[0]
    path, _, query = rest.partition("?")
    if path.startswith("//"):
        authority, slash, tail = path[2:].partition("/")
        if authority not in {"", "localhost"}:
            raise _invalid(f"the host in {redacted_url(text)!r} is not this machine; {_FORMS}")
        path = slash + tail
    if _LOGIN.match(path):
        raise _looks_like_login(text)
    path = _decode(text, path)
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    mode = parameters.pop("mode", "rwc")
    shared = parameters.pop("cache", "private")
    if parameters or mode not in {"rwc", "rw", "memory"} or shared not in {"shared", "private"}:
        known = "mode=rwc (the default), mode=rw (refuse to create), mode=memory, cache=shared, cache=private"
        raise _invalid(f"the parameters of {redacted_url(text)!r} are not supported; there are {known}")
    if mode == "memory" or path == _MEMORY:
        name = _SHARED_MEMORY if path == _MEMORY else path
        return _memory(name) if shared == "shared" else _memory()
    return _file(path, creates=mode == "rwc")


def _parse_sqlite_url(text: str, rest: str) -> Location:
    """Parse the part of a `sqlite://` URL after the scheme: three slashes for a relative path, four for an absolute."""
    path, mark, _ = rest.partition("?")
    if mark:
        problem = "has parameters, which are not supported in a sqlite:// URL; pass them as options"
        raise _invalid(f"{redacted_url(text)!r} {problem}")
    if path in {"//", "///", f"///{_MEMORY}"}:
        return _memory()
    if not path.startswith("///") or _LOGIN.match(path[3:]):
        raise _invalid(f"{redacted_url(text)!r} names a host or no path; {_FORMS}")
    return _file(_decode(text, path[3:]))


def _decode(text: str, path: str) -> str:
    """Return a path without its percent-encoding."""
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        decoded = ""
    if "\x00" in decoded or (path and not decoded):
        raise _invalid(f"{redacted_url(text)!r} names no store: a path is UTF-8, percent-encoded, and has no %00")
    return decoded


def _memory(name: str | None = None) -> Location:
    return Location(memory_name=new_id() if name is None else f"shared {name}")


def _file(path: str, *, creates: bool = True) -> Location:
    if not path:
        raise _invalid(f"names no file; {_FORMS}")
    absolute, problem = _absolute(path)
    if absolute is None:
        raise _invalid(problem)
    return Location(absolute, creates=creates)


def _absolute(path: str) -> tuple[Path | None, str]:
    """Return the absolute path, or None and the problem."""
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:
        return None, f"{path!r} is in the home folder of a user that is not known here; write the path out"
    try:
        return expanded.absolute(), ""
    except OSError as error:
        return None, f"{path!r} is relative to the working folder, which is gone ({error}); use an absolute path"


def _looks_like_login(text: str) -> ValidationError:
    problem = "looks like the login of a server; a file of that name is named by a file: URI, with %40 for @"
    return _invalid(f"{redacted_url(text)!r} {problem} and %3D for =")


def _invalid(problem: str) -> ValidationError:
    return ValidationError("sqlite", "url", problem)
