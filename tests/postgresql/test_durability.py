"""The log message at the start: which commits a crash or a failover may lose."""

import logging
from contextlib import closing

import psycopg
import pytest

from aaow_storage import create_adapter
from aaow_storage_postgresql.testing import Server


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("settings", "level", "words"),
    [
        ({}, logging.INFO, "no standby confirms commits"),
        ({"synchronous_standby_names": "one"}, logging.INFO, "confirmed by a standby (one)"),
        (
            {"synchronous_standby_names": "one", "synchronous_commit": "local"},
            logging.INFO,
            "no standby confirms commits",
        ),
        ({"synchronous_commit": "off"}, logging.WARNING, "since synchronous_commit is off"),
        ({"fsync": "off"}, logging.WARNING, "since fsync is off"),
    ],
)
async def test_the_durability_of_commits_is_logged(
    server: Server, caplog: pytest.LogCaptureFixture, settings: dict[str, str], level: int, words: str
):
    async with create_adapter("postgresql", server.url()):
        pass
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        for name, value in {"fsync": "on", **settings}.items():
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")
    caplog.clear()
    caplog.set_level(logging.INFO, "aaow_storage_postgresql")
    async with create_adapter("postgresql", server.url()):
        pass
    [record] = caplog.records
    assert record.levelno == level
    assert words in record.message
