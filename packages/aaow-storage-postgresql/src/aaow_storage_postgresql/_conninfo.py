"""The URL of a database, parsed so that no error shows a part of a password.

If a password contains `/` or `@`, libpq takes a part of it for a host or a database, and names that in its errors. So
such a URL is refused here, and psycopg's errors and tracebacks are dropped.
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
    "such as postgresql://user@host:5432/database or "
    "postgresql://host1,host2/database?target_session_attrs=read-write, or none for the PG* environment variables"
)
_ENCODE = "percent-encode special characters in the user and password with urllib.parse.quote(password, safe='')"
_URL = re.compile(
    r"\w+://(?:[^:@/?#&=\s]*(?::[^@/]*)?@)?(?:[^/?#@\[\]]|\[[^/?#@\[\]]*\])*(?:/[^?#@]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
MAX_NAME_BYTES = 63
"""PostgreSQL truncates longer names."""
_PRINTABLE = re.compile(r"[\w.,:/\[\] ~+-]+")
_MAX_PORT = 2**16 - 1
_IN_OTHER_TOOLS = {
    "schema": "pass it as the option schema=, as in create_adapter(url, schema='agents')",
    "currentschema": "pass it as the option schema=",
    "search_path": "pass it as the option schema=",
    "connection_limit": "pass it as the option pool_size=, as in create_adapter(url, pool_size=5)",
    "pool_size": "pass it as the option pool_size=",
    "max_connections": "pass it as the option pool_size=",
    "pool_max_conns": "pass it as the option pool_size=",
    "maxsize": "pass it as the option pool_size=",
    "max_overflow": "leave it out; the option pool_size= limits the connections",
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
"""URL parameters of other tools, in lower case, and what to write instead."""


def conninfo_of(url: str | None) -> str:
    """Return libpq's keywords and values for a URL; None stands for the environment variables.

    Raises:
        ValidationError: the text is no URL of a database, or libpq may misread it.
    """
    text = "" if url is None else url
    if not isinstance(text, str) or "\x00" in text:
        raise _invalid(f"must be a URL, {_FORMS}")
    if url_scheme(text) in {"postgres", "postgresql"}:
        _check_url(text)
    parts = _parse(text)
    if parts is None:
        raise _invalid(f"{redacted_url(text)!r} cannot be read; {_ENCODE}; use a URL {_FORMS}")
    _check_hosts(str(parts.get("host") or os.environ.get("PGHOST") or "").split(","))
    _check_ports(str(parts.get("port") or "").split(","))
    for name in ("dbname", "user"):
        if len(str(parts.get(name) or "").encode()) > MAX_NAME_BYTES:
            raise _invalid(
                f"has a {name} of more than {MAX_NAME_BYTES} bytes, which the server would truncate; use a shorter one"
            )
    return make_conninfo("", **{name: str(value) for name, value in parts.items()})


def place_of(conninfo: str) -> str:
    """Return the name of the database for messages: its name and hosts, nothing else of the conninfo."""
    parts = conninfo_to_dict(conninfo)
    database = _printable(parts.get("dbname"), "of the default name")
    return f"PostgreSQL database {database!r} on {_printable(parts.get('host'), 'the default host')}"


def _printable(value: Any, default: str) -> str:
    if not value:
        return default
    return str(value) if _PRINTABLE.fullmatch(str(value)) else "***"


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return conninfo_to_dict(text)
    except (psycopg.Error, ValueError):  # a ValueError if it is not UTF-8
        return None


def _check_url(text: str) -> None:
    match = _URL.fullmatch(text)
    if match is None:
        raise _invalid(f"{redacted_url(text)!r} is ambiguous; {_ENCODE}; use a URL {_FORMS}")
    for parameter in (match["query"] or "").split("&"):
        name = unquote(parameter.partition("=")[0]).lower()
        if name in _IN_OTHER_TOOLS:
            raise _invalid(f"{redacted_url(text)!r} has the parameter {name} of another tool: {_IN_OTHER_TOOLS[name]}")


def _check_hosts(hosts: Iterable[str]) -> None:
    for host in hosts:
        if not (host.startswith(("/", "@")) or _is_host_name(host)):
            problem = "is no host name: each part between dots has 1 to 63 characters"
            raise _invalid(f"{_printable(host, '')!r} {problem}; use a URL {_FORMS}")


def _is_host_name(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _check_ports(ports: Iterable[str]) -> None:
    for port in ports:
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= _MAX_PORT):
            raise _invalid(f"has a port that is no number from 1 to {_MAX_PORT}; {_ENCODE}; use a URL {_FORMS}")


def _invalid(problem: str) -> ValidationError:
    return ValidationError("postgresql", "url", problem)
