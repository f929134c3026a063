"""Which of several hosts to connect to: the one that served last, then the others in the order of the URL."""

import threading
from collections.abc import Iterator

Host = tuple[str, int]


class Hosts:
    """The hosts of one adapter. All of its connections go to one of them, as long as that serves.

    Any node of a cluster takes writes, but a transaction that meets another of its node waits, and one that meets
    another node's is aborted. So the next host is tried only after one did not serve.
    """

    def __init__(self, hosts: tuple[Host, ...]) -> None:
        self._hosts = hosts
        self._lock = threading.Lock()
        self._current = 0
        self.are_of_cluster = False
        """Whether one that served is a node of a Galera cluster."""

    def __iter__(self) -> Iterator[Host]:
        """Yield the hosts in the order in which to try them."""
        with self._lock:
            current = self._current
        yield from self._hosts[current:]
        yield from self._hosts[:current]

    def note_serving(self, host: Host) -> None:
        """Note that a host serves, so that it is tried first."""
        with self._lock:
            self._current = self._hosts.index(host)

    def note_cluster(self) -> None:
        """Note that a host is a node of a Galera cluster."""
        self.are_of_cluster = True
