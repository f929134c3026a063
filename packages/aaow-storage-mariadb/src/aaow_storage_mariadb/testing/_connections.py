"""Connections to a server outside of the backend."""

from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

_CONNECT_TIMEOUT_S = 2
_ANSWERS_WITHIN_S = 60


def connect(url: str, *, answers_within_s: float = _ANSWERS_WITHIN_S) -> "pymysql.Connection[Any]":
    """Connect to the first host of a URL, and commit each statement."""
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    host, _, port = hosts.partition(",")[0].partition(":")
    return pymysql.connect(
        host=host,
        port=int(port or 3306),
        user=unquote(name),
        password=unquote(password),
        database=parts.path[1:] or None,
        autocommit=True,
        charset="utf8mb4",
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=answers_within_s,
    )


def fetch(connection: "pymysql.Connection[Any]", statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Execute a statement, and return the rows that it has."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())


def quoted(name: str) -> str:
    """Return the name of a database or an account as SQL has it."""
    return "`" + name.replace("`", "``") + "`"
