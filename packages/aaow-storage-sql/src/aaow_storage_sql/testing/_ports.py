"""Ports for servers that stop and start again."""

import random
import socket
from contextlib import closing
from pathlib import Path

_CLIENTS_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_FIRST_OF_CLIENTS = 32_768
_FIRST = 10_000
_TRIES = 100
_random = random.SystemRandom()
"""Of the system, since a test may set the seed of the module."""


def free_port() -> int:
    """Return a free port of 127.0.0.1, below those that the system gives to clients.

    So no client has it while its server is down. Another server may take it before the caller does.

    Raises:
        RuntimeError: none is found.
    """
    for _ in range(_TRIES):
        port = _random.randrange(_FIRST, _first_of_clients())
        with closing(socket.socket()) as listening:
            try:
                listening.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port of 127.0.0.1 from {_FIRST} on is free")


def _first_of_clients() -> int:
    try:
        first = int(_CLIENTS_PORTS.read_text().split()[0])
    except (OSError, ValueError):
        return _USUAL_FIRST_OF_CLIENTS
    return max(first, _FIRST + _TRIES)
