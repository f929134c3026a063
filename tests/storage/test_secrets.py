"""No part of a password is in an error, its traceback, a warning, a log or a representation, whatever the URL."""

import asyncio
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from aaow_storage import StorageAdapter, StorageError, available_backends, create_adapter, open_adapter

HEAD, TAIL = "Zq7vw", "Kx9jh"
"""The parts of each password, which nothing else holds."""

BETWEEN = (
    "",
    "/",
    "@",
    "%",
    "&",
    ";",
    "#",
    "\\",
    "'",
    " ",
    ":",
    "?",
    '"',
    "=",
    "+",
    "\n",
    "\u00e9",
    "\ud800",
    "%00",
    "%ff",
)
LISTENS_NOT = "127.0.0.1:1"

FORMS: dict[str, Callable[[str], str]] = {
    "url": lambda secret: f"postgresql://app:{secret}@{LISTENS_NOT}/agents",
    "encoded url": lambda secret: f"postgresql://app:{_quoted(secret)}@{LISTENS_NOT}/agents",
    "short scheme": lambda secret: f"postgres://app:{secret}@{LISTENS_NOT}/agents?sslmode=disable",
    "no host": lambda secret: f"postgresql://app:{secret.replace('@', '')}/agents",
    "several hosts": lambda secret: f"postgresql://app:{secret}@{LISTENS_NOT},{LISTENS_NOT}/agents",
    "wrong parameter": lambda secret: f"postgresql://app:{secret}@{LISTENS_NOT}/agents?nonsense=1",
    "parameter of another tool": lambda secret: f"postgresql://app:{secret}@{LISTENS_NOT}/agents?schema=public",
    "host that is none": lambda secret: f"postgresql://app:{secret}@a..b/agents",
    "parameter": lambda secret: f"postgresql://{LISTENS_NOT}/agents?password={secret}",
    "encoded parameter": lambda secret: f"postgresql://{LISTENS_NOT}/agents?user=app&sslpassword={_quoted(secret)}",
    "keywords": lambda secret: f"host=127.0.0.1 port=1 user=app password={secret} dbname=agents",
    "quoted keywords": lambda secret: f"host=127.0.0.1 port=1 user=app password='{_escaped(secret)}' dbname=agents",
    "quotes forgotten": lambda secret: f"host=127.0.0.1 port=1 password='{secret}' dbname=agents",
    "another database": lambda secret: f"mysql://app:{secret}@host/agents",
    "driver of another tool": lambda secret: f"postgresql+asyncpg://app:{secret}@host/agents",
    "sqlite with a login": lambda secret: f"sqlite://app:{secret}@host/agents.db",
    "sqlite path with a login": lambda secret: f"sqlite:///app:{secret}@host/agents.db",
    "sqlite with a key": lambda secret: f"sqlite:///agents.db?key={secret}",
    "file with a login": lambda secret: f"file://app:{secret}@host/agents.db",
    "file with a password": lambda secret: f"file:agents.db?password={secret}",
    "memory with a login": lambda secret: f"memory://app:{secret}@name",
    "no scheme": lambda secret: f"app:{secret}@host/agents",
    "no scheme but slashes": lambda secret: f"//app:{secret}@host/agents",
    "end of a line": lambda secret: f"postgresql://app:{secret}@{LISTENS_NOT}/agents\n",
}

ENTRIES: dict[str, Callable[[str], StorageAdapter]] = {
    "create_adapter(url)": create_adapter,
    "create_adapter('postgresql', url)": lambda url: create_adapter("postgresql", url),
    "create_adapter('mariadb', url)": lambda url: create_adapter("mariadb", url),
    "create_adapter('sqlite', url)": lambda url: create_adapter("sqlite", url),
    "create_adapter('memory', url)": lambda url: create_adapter("memory", url),
    "open_adapter(url)": open_adapter,
    "open_adapter(url=url)": lambda url: open_adapter(url=url),
    "DATABASE_URL": lambda _: open_adapter(),
    "a URL twice": lambda url: create_adapter(url, url),
    "an option that is not there": lambda url: create_adapter("memory", url=None, dsn=url),
    "an option": lambda url: create_adapter("postgresql", pooler=url),
    "a schema": lambda url: create_adapter("postgresql", schema=url + "x" * 64),
    "bytes": lambda url: create_adapter("postgresql", url.encode(errors="replace")),
    "Backend.create": available_backends()["postgresql"].create,
}


def _quoted(secret: str) -> str:
    return quote(secret, safe="", errors="replace")


def _escaped(secret: str) -> str:
    return secret.replace("\\", "\\\\").replace("'", "\\'")


def shown_by(make: Callable[[str], StorageAdapter], url: str) -> Iterator[str]:
    """Make an adapter and open it; yield all that is shown meanwhile."""
    try:
        adapter = make(url)
        yield f"{adapter!r} {adapter}"
        asyncio.run(_opened(adapter))
    except StorageError as error:
        again = pickle.loads(pickle.dumps(error))
        yield f"{error} {error!r} {again} {again!r} {error.args} {vars(error)}"
        yield "".join(traceback.format_exception(error))
        yield "".join(map(str, _chain(error)))


async def _opened(adapter: StorageAdapter) -> None:
    try:
        await adapter.initialize()
    finally:
        await adapter.close()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield what an error follows, that too which its traceback leaves out."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("between", BETWEEN, ids=ascii)
def test_no_part_of_a_password_is_shown(
    form: str, between: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PGPASSWORD", raising=False)
    url = FORMS[form](HEAD + between + TAIL)
    if between != "\ud800":
        monkeypatch.setenv("DATABASE_URL", url)
    for entry, make in ENTRIES.items():
        if entry == "DATABASE_URL" and between == "\ud800":
            continue
        for text in (*shown_by(make, url), caplog.text):
            assert HEAD not in text, entry
            assert TAIL not in text, entry
    assert list(tmp_path.iterdir()) == []


def test_the_corpus_is_large():
    assert len({form(HEAD + between + TAIL) for form in FORMS.values() for between in BETWEEN}) > 300
