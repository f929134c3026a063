"""Reading the URL of a database, as libpq takes it, so that no error shows a part of a password.

In a URL whose password holds `/` or `@`, libpq takes a part of the password for a host or a database, and names it in
its errors. So such a URL is refused here, and neither psycopg's errors nor their traceback get any further.
"""

import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from aaow_storage.authoring import redacted_url, url_scheme
from aaow_storage.errors import ValidationError

_FORMS = (
    "such as postgresql://user@host:5432/database, postgresql://host1,host2/database?target_session_attrs=read-write, "
    "or nothing for the PG* environment variables"
)
_ENCODE = (
    "a special character in a user or password has to be percent-encoded, as urllib.parse.quote(password, safe='') does"
)
_URL = re.compile(
    r"\w+://(?:[^:@/?#&=\s]*(?::[^@/]*)?@)?(?:[^/?#@\[\]]|\[[^/?#@\[\]]*\])*(?:/[^?#@]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
MAX_NAME_BYTES = 63
"""How many bytes PostgreSQL keeps of a name."""
_SHOWN = re.compile(r"[\w.,:/\[\] ~+-]+")
_MOST_PORTS = 2**16
_IN_OTHER_TOOLS = {
    "schema": "pass it as the option schema=, as in create_adapter(url, schema='agents')",
    "currentschema": "pass it as the option schema=",
    "search_path": "pass it as the option schema=",
    "connection_limit": "pass it as the option pool_size=, as in create_adapter(url, pool_size=5)",
    "pool_size": "pass it as the option pool_size=",
    "max_connections": "pass it as the option pool_size=",
    "pool_max_conns": "pass it as the option pool_size=",
    "maxsize": "pass it as the option pool_size=",
    "max_overflow": "leave it out; the option pool_size= is the most connections there are",
    "pool_timeout": "pass it as the option acquire_timeout=, in seconds",
    "acquire_timeout": "pass it as the option acquire_timeout=, in seconds",
    "socket_timeout": "pass it as the option statement_timeout=, in seconds",
    "command_timeout": "pass it as the option statement_timeout=, in seconds",
    "statement_timeout": "pass it as the option statement_timeout=, in seconds",
    "pgbouncer": "pass the option pooler='transaction'",
    "pooler": "pass it as the option pooler=",
    "statement_cache_size": "leave it out; for PgBouncer pass the option pooler='transaction'",
    "prepared_statement_cache_size": "leave it out; for PgBouncer pass the option pooler='transaction'",
    "ssl": "write sslmode=require, or another sslmode of libpq",
    "sslaccept": "write sslmode=require, or another sslmode of libpq",
    "tls": "write sslmode=require, or another sslmode of libpq",
    "charset": "leave it out; it is always UTF-8",
    "encoding": "leave it out; it is always UTF-8",
}
"""Parameters that other tools take in a URL, by their names in lower case, and what to write instead."""


def conninfo_of(url: str | None) -> str:
    """Return what libpq connects to, for a URL or for keywords and values; None is for its environment variables.

    Raises:
        ValidationError: the text cannot be read, or libpq might read it otherwise than it was meant.
    """
    text = "" if url is None else url
    if not isinstance(text, str) or "\x00" in text:
        raise _wrong(f"must be a URL, {_FORMS}")
    if url_scheme(text) in {"postgres", "postgresql"}:
        _check_url(text)
    parts = _parts_of(text)
    if parts is None:
        raise _wrong(f"{redacted_url(text)!r} cannot be read; {_ENCODE}; use one {_FORMS}")
    _check_hosts(str(parts.get("host") or os.environ.get("PGHOST") or "").split(","))
    _check_ports(str(parts.get("port") or "").split(","))
    for name in ("dbname", "user"):
        if len(str(parts.get(name) or "").encode()) > MAX_NAME_BYTES:
            raise _wrong(
                f"has a {name} of more than {MAX_NAME_BYTES} bytes, of which the server would cut the rest off"
            )
    return make_conninfo("", **{name: str(value) for name, value in parts.items()})


def place_of(conninfo: str) -> str:
    """Return the database's name for errors: of what a conninfo holds, only the names of the database and its hosts."""
    parts = conninfo_to_dict(conninfo)
    database = _shown(parts.get("dbname"), "of the default name")
    return f"PostgreSQL database {database!r} on {_shown(parts.get('host'), 'the default host')}"


def _shown(value: Any, default: str) -> str:
    if not value:
        return default
    return str(value) if _SHOWN.fullmatch(str(value)) else "***"


def _parts_of(text: str) -> dict[str, Any] | None:
    try:
        return conninfo_to_dict(text)
    except (psycopg.Error, ValueError):  # a ValueError where it is not UTF-8
        return None


def _check_url(text: str) -> None:
    match = _URL.fullmatch(text)
    if match is None:
        raise _wrong(f"{redacted_url(text)!r} can be read in more than one way; {_ENCODE}; use one {_FORMS}")
    for parameter in (match["query"] or "").split("&"):
        name = unquote(parameter.partition("=")[0]).lower()
        if name in _IN_OTHER_TOOLS:
            raise _wrong(f"{redacted_url(text)!r} has the parameter {name}, of another tool: {_IN_OTHER_TOOLS[name]}")


def _check_hosts(hosts: Iterable[str]) -> None:
    for host in hosts:
        if not (host.startswith(("/", "@")) or _is_host_name(host)):
            problem = "is no host name: what stands between two dots has 1 to 63 characters"
            raise _wrong(f"{_shown(host, '')!r} {problem}; use one {_FORMS}")


def _is_host_name(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _check_ports(ports: Iterable[str]) -> None:
    for port in ports:
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < _MOST_PORTS):
            raise _wrong(f"has a port that is no number from 1 to {_MOST_PORTS - 1}; {_ENCODE}; use one {_FORMS}")


def _wrong(problem: str) -> ValidationError:
    return ValidationError("postgresql", "url", problem)
