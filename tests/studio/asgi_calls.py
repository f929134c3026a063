"""Asks an application without a server or a client in between, so that a request may be as wrong as it likes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:8000"
OWN = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Answer:
    """What the application answered."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    error: Exception | None = None
    parts_read: int = 0

    def header(self, name: str) -> str | None:
        """Return a header, which must not be there twice."""
        found = [value for each, value in self.headers if each == name]
        assert len(found) <= 1, found
        return found[0] if found else None

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()


async def ask(
    app: ASGIApp,
    path: str = "/sessions",
    *,
    method: str = "GET",
    query: str = "",
    headers: dict[str, str] | Iterable[tuple[str, str]] = (),
    host: str | None = HOST,
    client: tuple[str, int] | None = ("127.0.0.1", 5000),
    scheme: str = "http",
    root: str = "",
    body: Iterable[bytes] = (),
) -> Answer:
    """Return the answer to a request; also that of an application that raised after it."""
    given = list(headers.items() if isinstance(headers, dict) else headers)
    if host is not None:
        given.insert(0, ("host", host))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": root + path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "root_path": root,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
        "client": client,
        "server": ("127.0.0.1", 8000),
    }
    parts, answer = [*body, b""], Answer()

    async def receive() -> Message:
        answer.parts_read += 1
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [(name.decode().lower(), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            answer.body += message.get("body", b"")

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - the server would log it
        answer.error = error
    return answer
