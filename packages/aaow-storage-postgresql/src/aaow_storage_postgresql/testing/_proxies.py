"""A connection that is cut at a chosen moment."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Hands everything on to a server, until it is told to cut.

    `cut_at` is what a client says when it is cut: before that reaches the server, or with `lets_through` when the
    server has answered it.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.cut_at: bytes | None = None
        self.lets_through = False
        self.cuts = 0
        self._hands_on = threading.Event()
        self._hands_on.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the server's database, through this."""
        return urlunsplit(self._server._replace(netloc=f"{self._server.username}@127.0.0.1:{self.port}"))

    def cut_once(self, at: bytes, *, lets_through: bool) -> None:
        """Cut the next connection that says this."""
        self.lets_through = lets_through
        self.cut_at = at

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """Hand nothing on inside the block, either way, and close nothing: a network that loses what is sent."""
        self._hands_on.clear()
        try:
            yield
        finally:
            self._hands_on.set()

    def close(self) -> None:
        """Accept no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((self._server.hostname, self._server.port))
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=_copy, args=(server, client, self._hands_on), daemon=True)
        answers.start()
        with closing(client), closing(server), suppress(OSError):
            while data := client.recv(65_536):
                if self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    client.shutdown(socket.SHUT_WR)
                    if self.lets_through:
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)
                        answers.join()
                    else:
                        server.shutdown(socket.SHUT_RDWR)
                    return
                self._hands_on.wait()
                server.sendall(data)


def _copy(source: socket.socket, target: socket.socket, hands_on: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            hands_on.wait()
            with suppress(OSError):
                target.sendall(data)


@contextmanager
def proxy_of(url: str) -> Iterator[Proxy]:
    """Yield a proxy of the server of a URL."""
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
