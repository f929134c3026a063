"""A proxy in front of a server: it cuts a connection at a chosen moment, or holds back all that is sent."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes on what a client and a server send, and the end of either's connection, except as `cut_once` asks.

    Attributes:
        port: where it listens, on 127.0.0.1.
        cuts: how many connections it has cut.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.cuts = 0
        self._cut_at: bytes | None = None
        self._lets_through = False
        self._passes_on = threading.Event()
        self._passes_on.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The URL of the server's database, through this proxy."""
        user, at, _ = self._server.netloc.rpartition("@")
        return urlunsplit(self._server._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def cut_once(self, at: bytes, *, lets_through: bool) -> None:
        """Cut the next connection whose client sends this: before the server gets it, or after the server's answer."""
        self._lets_through = lets_through
        self._cut_at = at

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """Pass on nothing inside the block, in either direction, not even a close: a network that loses packets."""
        self._passes_on.clear()
        try:
            yield
        finally:
            self._passes_on.set()

    def close(self) -> None:
        """Accept no more connections."""
        _shut_down(self._listening)  # `accept` in another thread would still take one
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection((self._server.hostname, self._server.port))
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=self._pass_on_answers, args=(server, client), daemon=True)
        answers.start()
        with closing(client), closing(server):
            with suppress(OSError):
                self._pass_on_requests(client, server, answers)
            self._passes_on.wait()
            # To close a socket sends no FIN while another thread is in `recv` on it.
            _shut_down(server)

    def _pass_on_requests(self, client: socket.socket, server: socket.socket, answers: threading.Thread) -> None:
        """Pass on what the client sends, until it closes its connection, or the connection is cut."""
        while data := client.recv(65_536):
            if self._cut_at is not None and self._cut_at in data:
                self._cut_at = None
                self.cuts += 1
                client.shutdown(socket.SHUT_WR)
                if self._lets_through:
                    server.sendall(data)
                    server.shutdown(socket.SHUT_WR)
                    answers.join()
                return
            self._passes_on.wait()
            server.sendall(data)

    def _pass_on_answers(self, server: socket.socket, client: socket.socket) -> None:
        """Pass on what the server sends, until it closes its connection."""
        with suppress(OSError):
            while data := server.recv(65_536):
                self._passes_on.wait()
                with suppress(OSError):
                    client.sendall(data)
        self._passes_on.wait()
        _shut_down(client)


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_of(url: str) -> Iterator[Proxy]:
    """Yield a proxy of the server of a URL."""
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
