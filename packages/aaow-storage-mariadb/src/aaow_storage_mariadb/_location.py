"""The URL of a database: one or several hosts, a user, a database, and how to trust the server.

A password with a `/` or `@` in it would be taken for a part of a host or a database. So such a URL is refused, and
errors never show more of it than its hosts and its database.
"""

import os
import re
from urllib.parse import unquote

from attrs import field, frozen

from aaow_storage.authoring import redacted_url, url_scheme
from aaow_storage.errors import ValidationError

_FORMS = "such as mariadb://user@host:3306/database or mariadb://user@host1,host2,host3/database"
_ENCODE = "percent-encode special characters in the user and password with urllib.parse.quote(password, safe='')"
_URL = re.compile(
    r"""
    mariadb://
    (?:(?P<user>[^:@/?\#&=\s]*)(?::(?P<password>[^@/?\#]*))?@)?
    (?P<hosts>(?:[^/?\#@\[\]]|\[[^/?\#@\[\]]*\])*)
    (?:/(?P<database>[^?\#@/]*))?
    (?:\?(?P<query>[^\#]*))?
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]*))?", re.ASCII)
_FILES = {"ssl_ca", "ssl_cert", "ssl_key"}
_IN_OTHER_TOOLS = {
    "charset": "leave it out; it is always utf8mb4",
    "autocommit": "leave it out; the backend begins its own transactions",
    "unix_socket": "write the path as the parameter socket=",
    "ssl": "write ssl_ca=PATH with the certificate of the authority, or ssl_verify=off",
    "ssl_mode": "write ssl_ca=PATH with the certificate of the authority, or ssl_verify=off",
    "sslmode": "write ssl_ca=PATH with the certificate of the authority, or ssl_verify=off",
    "pool_size": "pass it as the option pool_size=, as in create_adapter(url, pool_size=5)",
    "pool_recycle": "leave it out; a connection that is lost is opened again",
    "pool_timeout": "pass it as the option acquire_timeout=, in seconds",
    "connect_timeout": "pass it as the option connect_timeout=, in seconds",
    "read_timeout": "pass it as the option statement_timeout=, in seconds",
    "write_timeout": "pass it as the option statement_timeout=, in seconds",
    "driver": "pass it as the option driver=",
    "wsrep_sync_wait": "pass it as the option sync_wait=",
}
"""URL parameters of other tools, in lower case, and what to write instead."""
_PARAMETERS = {*_FILES, "socket", "ssl_verify"}
DEFAULT_PORT = 3306
_MAX_PORT = 2**16 - 1
_MAX_HOST_LABEL = 63
_MAX_NAME = 64
"""Characters in the name of a database."""


@frozen
class Location:
    """Where the database is, and who logs in.

    Attributes:
        hosts: each with its port, in the order in which they are tried; the first that serves takes the writes.
        socket: the path of a Unix socket in the place of hosts, or None.
        ssl: the files, by the driver's names, and whether the server's certificate is checked; empty without TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    database: str
    user: str
    password: str = field(default="", repr=False)
    socket: str | None = None
    ssl: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """The database's name for messages, without the user and the password."""
        where = self.socket or ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        return f"MariaDB database {self.database!r} on {where}"


def location_of(url: str | None) -> Location:
    """Return the location that a URL names; None stands for the environment variable MARIADB_URL.

    Raises:
        ValidationError: the text is no URL of a database, or may be misread.
    """
    text = os.environ.get("MARIADB_URL") if url is None else url
    if not isinstance(text, str) or not text or "\x00" in text:
        raise _invalid(f"must be a URL, {_FORMS}, or none for the environment variable MARIADB_URL")
    if url_scheme(text) in {"mysql", "mysql+pymysql", "mariadb+pymysql", "mysql+mysqldb", "mariadb+mysqldb"}:
        raise _invalid(f"{redacted_url(text)!r} has the scheme of another tool; begin it with mariadb://")
    match = _URL.fullmatch(text)
    if match is None:
        raise _invalid(f"{redacted_url(text)!r} cannot be read, or is ambiguous; {_ENCODE}; use a URL {_FORMS}")
    parameters = _parameters(text, match["query"] or "")
    database = unquote(match["database"] or "")
    if not 1 <= len(database) <= _MAX_NAME:
        raise _invalid(f"has to name a database, of at most {_MAX_NAME} characters; use a URL {_FORMS}")
    return Location(
        hosts=tuple(map(_host, (match["hosts"] or "localhost").split(","))),
        database=database,
        user=unquote(match["user"] or ""),
        password=unquote(match["password"] or ""),
        socket=parameters.pop("socket", None),
        ssl=tuple(sorted(parameters.items())),
    )


def _parameters(url: str, query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for parameter in filter(None, query.split("&")):
        name, _, value = parameter.partition("=")
        name = unquote(name)
        if (remedy := _IN_OTHER_TOOLS.get(name.lower())) is not None:
            raise _invalid(f"{redacted_url(url)!r} has the parameter {name} of another tool: {remedy}")
        if name not in _PARAMETERS:
            known = ", ".join(sorted(_PARAMETERS))
            raise _invalid(f"{redacted_url(url)!r} has the unknown parameter {name!a:.100}; there are {known}")
        parameters[name] = unquote(value)
    if parameters.get("ssl_verify", "on") not in {"on", "off"}:
        raise _invalid("has an ssl_verify that is neither on nor off")
    return parameters


def _host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    name = "" if match is None else match["name"].strip("[]")
    if match is None or not name or any(not 1 <= len(part) <= _MAX_HOST_LABEL for part in name.rstrip(".").split(".")):
        raise _invalid(f"has a host that is no host name; {_ENCODE}; use a URL {_FORMS}")
    port = int(match["port"]) if match["port"] else DEFAULT_PORT
    if not 0 < port <= _MAX_PORT:
        raise _invalid(f"has a port that is no number from 1 to {_MAX_PORT}; use a URL {_FORMS}")
    return name, port


def _invalid(problem: str) -> ValidationError:
    return ValidationError("mariadb", "url", problem)
