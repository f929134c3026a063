"""Whether a connection is encrypted, and how the server is trusted: the same with each driver."""

import functools
import ssl

from aaow_storage.errors import StorageError
from aaow_storage_mariadb._hosts import Host
from aaow_storage_mariadb._location import Location

_LOCAL = {"localhost", "127.0.0.1", "::1"}
"""Hosts to which nothing is encrypted unless the URL asks for it."""


def may_be_encrypted(location: Location, host: Host) -> bool:
    """Return whether a connection is encrypted if the server can; with `location.ssl` it has to be."""
    name, _ = host
    return bool(location.ssl) or (location.socket is None and name not in _LOCAL)


def checks_server(location: Location) -> bool:
    """Return whether the certificate of the server is checked."""
    return bool(location.ssl) and dict(location.ssl).get("ssl_verify") != "off"


@functools.lru_cache(maxsize=16)
def tls_context(parameters: tuple[tuple[str, str], ...]) -> ssl.SSLContext | None:
    """Return how to trust a server; None to encrypt if it can, without a check who it is.

    Raises:
        StorageError: a file cannot be read, or is none of certificates.
    """
    if not parameters:
        return None
    files = dict(parameters)
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca"))
        if "ssl_cert" in files:
            context.load_cert_chain(files["ssl_cert"], files.get("ssl_key"))
    except OSError as error:
        named = ", ".join(f"{name}={files[name]}" for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in files)
        raise StorageError(f"the files of the URL cannot be used ({named}): {error}; check their names") from error
    if files.get("ssl_verify") == "off":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
