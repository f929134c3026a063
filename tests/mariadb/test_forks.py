"""What the package gives to tests belongs to the process that made it, whatever its forked processes leave."""

import os
import sys
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest

from aaow_storage_mariadb.testing import private_server, skipped_where_missing, temporary_database
from aaow_storage_mariadb.testing._connections import connect, fetch

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
    with closing(connect(url)) as connection:
        return fetch(connection, "SELECT 1") == [(1,)]


def test_a_forked_process_that_leaves_the_block_leaves_the_server_running():
    block = private_server()
    with skipped_where_missing(), block as server:
        leave_in_a_forked_process(block)
        assert server.data.is_dir()
        assert answers(server.url())


def test_a_forked_process_that_leaves_the_block_leaves_the_database():
    block = temporary_database()
    with skipped_where_missing(), block as url:
        leave_in_a_forked_process(block)
        assert answers(url)
