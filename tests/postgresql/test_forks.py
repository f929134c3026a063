"""What the package gives to tests belongs to the process that made it, whatever its forked processes leave."""

import os
import sys
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import psycopg
import pytest

from aaow_storage_postgresql.testing import pgbouncer_of, private_server, temporary_database
from aaow_storage_sql.testing import ServerOwner

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork"),
]


def leave_in_a_forked_process(context: AbstractContextManager[Any]) -> None:
    """End the block in a forked process, as the interpreter does to a generator when it exits."""
    process = os.fork()
    if process == 0:
        try:
            context.__exit__(None, None, None)
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


def answers(url: str) -> bool:
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_a_forked_process_that_leaves_the_block_leaves_the_server_and_its_pooler_running():
    with ExitStack() as stack:
        block = private_server()
        server = stack.enter_context(block)
        pooled = pgbouncer_of(server)
        url = stack.enter_context(pooled)
        leave_in_a_forked_process(pooled)
        assert answers(f"{url}/postgres")
        leave_in_a_forked_process(block)
        assert server.data.is_dir()
        assert answers(server.url())


def test_a_forked_process_that_leaves_the_block_leaves_the_database():
    block = temporary_database()
    with block as url:
        leave_in_a_forked_process(block)
        assert answers(url)


def test_a_forked_process_that_leaves_the_block_leaves_the_folder():
    block = ServerOwner("postgres").folder(prefix="aaow-")
    with block as folder:
        leave_in_a_forked_process(block)
        assert folder.is_dir()
    assert not folder.exists()
