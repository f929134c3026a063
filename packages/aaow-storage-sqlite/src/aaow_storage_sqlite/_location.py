"""Where a SQLite store is: a file or memory, told by a path, a `file:` URI or a `sqlite://` URL."""

from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from attrs import frozen

from aaow_storage import new_id
from aaow_storage.authoring import redacted_url
from aaow_storage.errors import ValidationError

DEFAULT_URL = "file:./aaow.db"
_MEMORY = ":memory:"
_SHARED_MEMORY = "shared-memory"
_FORMS = (
    "use a path, file:PATH, sqlite:///PATH, sqlite:// for memory of its own, or file::memory:?cache=shared for memory "
    "that adapters of this process share"
)


@frozen
class Location:
    """A store: the file at `path`, or where that is None, memory that the process knows by its name."""

    path: Path | None = None
    memory_name: str = ""
    creates: bool = True
    named: Path | None = None
    """The path as it was given, where `path` is the one behind its symbolic links."""

    @property
    def uri(self) -> str:
        """The URI to connect to; a store in memory has one once it has a folder."""
        return self._uri("rwc" if self.creates else "rw")

    @property
    def read_only_uri(self) -> str:
        """The URI of a connection that changes nothing, not even by closing."""
        return self._uri("ro")

    def _uri(self, mode: str) -> str:
        return f"file:{quote(str(self.path))}?mode={mode}"

    def __str__(self) -> str:
        return "SQLite in memory" if self.path is None else str(self.named or self.path)


def parse_location(url: str | None) -> Location:
    """Say where the store of a URL is; a relative path becomes absolute now.

    Raises:
        ValidationError: the URL has another form, or a parameter that is not known.
    """
    text = DEFAULT_URL if url is None else url
    if not text or "\x00" in text:
        raise ValidationError("sqlite", "url", f"{redacted_url(text)!r} names no store; {_FORMS}")
    scheme, colon, rest = text.partition(":")
    match scheme.lower() if colon else "":
        case "file":
            return _of_file_uri(rest)
        case "sqlite":
            return _of_url(rest)
    if rest.startswith("//"):
        raise ValidationError("sqlite", "url", f"{redacted_url(text)!r} is a URL of something else; {_FORMS}")
    return _memory() if text == _MEMORY else _file(text)


def _of_file_uri(rest: str) -> Location:
    rest = rest.partition("#")[0]
    path, _, query = rest.partition("?")
    if path.startswith("//"):
        authority, slash, tail = path[2:].partition("/")
        if authority not in {"", "localhost"}:
            named = redacted_url(f"file://{authority}")
            raise ValidationError("sqlite", "url", f"the host in {named!r} is not this machine; {_FORMS}")
        path = slash + tail
    path = unquote(path)
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    mode = parameters.pop("mode", "rwc")
    shared = parameters.pop("cache", "private")
    if parameters or mode not in {"rwc", "rw", "memory"} or shared not in {"shared", "private"}:
        known = "mode=rwc (the default), mode=rw (refuse to create), mode=memory, cache=shared, cache=private"
        problem = f"the parameters {redacted_url(query)!r} are not supported; there are {known}"
        raise ValidationError("sqlite", "url", problem)
    if mode == "memory" or path == _MEMORY:
        name = _SHARED_MEMORY if path == _MEMORY else path
        return _memory(name) if shared == "shared" else _memory()
    return _file(path, creates=mode == "rwc")


def _of_url(rest: str) -> Location:
    """Read the part of a `sqlite://` URL behind the scheme: three slashes for a relative path, four for an absolute."""
    path, mark, query = rest.partition("?")
    if mark:
        problem = f"the parameters {redacted_url(query)!r} are not supported in a sqlite:// URL; pass them as options"
        raise ValidationError("sqlite", "url", problem)
    if path in {"//", "///", f"///{_MEMORY}"}:
        return _memory()
    if not path.startswith("///"):
        named = redacted_url(f"sqlite:{rest}")
        raise ValidationError("sqlite", "url", f"{named!r} names a host or no path; {_FORMS}")
    return _file(unquote(path[3:]))


def _memory(name: str | None = None) -> Location:
    return Location(memory_name=new_id() if name is None else f"shared {name}")


def _file(path: str, *, creates: bool = True) -> Location:
    if not path:
        raise ValidationError("sqlite", "url", f"names no file; {_FORMS}")
    return Location(Path(path).expanduser().absolute(), creates=creates)
