"""In-doubt commits are resolved, even if the server assigns a transaction id twice."""

import asyncio
from collections.abc import Iterator

import pytest

from aaow_storage import LLMExecutionResult, Session, create_adapter
from aaow_storage.errors import OutcomeUnknownError, StorageUnavailableError
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._in_doubt import InDoubtTransaction, identify
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql.testing import Server, private_server, skipped_where_missing
from aaow_storage_sql import InDoubtError
from aaow_storage_sql._servers.in_doubt import was_committed
from aaow_storage_sql.testing import proxy_of

SOON_S = 20.0
WAYS = pytest.mark.parametrize(
    "lets_through", [False, True], ids=["before the server has it", "after the server has it"]
)
FORGETFUL = {"synchronous_commit": "off", "wal_writer_delay": "10s"}


@pytest.fixture
def connected(server: Server) -> Iterator[tuple[PostgreSQLConnection, PostgreSQLConnection]]:
    """Two connections to a server with a table."""
    one, other = connect(Settings(server.url())), connect(Settings(server.url()))
    one.command("CREATE TABLE notes (number integer)")
    yield one, other
    one.driver_connection.close()
    other.driver_connection.close()


def begin(connection: PostgreSQLConnection) -> InDoubtTransaction:
    """Begin a transaction that writes; return what identifies it."""
    connection.begin_writing()
    connection.command("INSERT INTO notes VALUES (1)")
    transaction = identify(connection)
    assert transaction is not None
    return transaction


def commit_until(connection: PostgreSQLConnection, id: str) -> None:
    """Commit transactions until one gets that id."""
    while begin(connection).id != id:
        connection.command("COMMIT")
    connection.command("COMMIT")


def test_an_id_assigned_again_after_a_crash_does_not_resolve_the_lost_transaction():
    with skipped_where_missing(), private_server(settings=FORGETFUL) as server:
        connection = connect(Settings(server.url()))
        connection.command("CREATE TABLE notes (number integer)")
        connection.command("CHECKPOINT")
        lost = begin(connection)
        server.kill()
        server.start()
        again = connect(Settings(server.url()))
        assert lost.resolve(again) is False
        commit_until(again, lost.id)
        assert lost.resolve(again) is False
        connection.driver_connection.close()
        again.driver_connection.close()


def test_a_commit_that_survived_a_crash_is_resolved(connected: tuple, server: Server):
    one, other = connected
    known = begin(one)
    assert known.resolve(other) is None
    one.command("COMMIT")
    assert known.resolve(other) is True
    undone = begin(one)
    one.command("ROLLBACK")
    assert undone.resolve(other) is False
    server.kill()
    server.start()
    again = connect(Settings(server.url()))
    assert known.resolve(again) is True
    assert undone.resolve(again) is False
    again.driver_connection.close()


def test_a_transaction_that_wrote_nothing_needs_no_resolution(connected: tuple):
    one, _ = connected
    one.begin_writing()
    assert identify(one) is None
    one.command("ROLLBACK")


def test_a_promoted_and_restarted_standby_cannot_resolve(connected: tuple):
    one, other = connected
    known = begin(one)
    one.command("COMMIT")
    elsewhere = InDoubtTransaction(known.id, known.position, started="before", timeline="00000000")
    with pytest.raises(InDoubtError, match="has taken over"):
        elsewhere.resolve(other)


def test_a_commit_is_in_doubt_if_the_question_fails(server: Server):
    own = Settings(server.url())
    connection = connect(own)
    connection.command("CREATE TABLE notes (number integer)")
    lost = begin(connection)
    connection.close()
    missing = Settings(server.url("missing"))
    with pytest.raises(InDoubtError, match=r"cannot be asked for.*does not exist"):
        was_committed(lost, missing, lambda: connect(missing), gives_up=lambda: False)


@pytest.mark.asyncio
@WAYS
async def test_a_save_whose_outcome_no_server_can_tell_says_so(url: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("postgresql", proxy.url, pool_size=2, acquire_timeout=0.5) as adapter:
            await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
            await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="before"))
            proxy.close()
            proxy.cut_once(b"in doubt", lets_through=lets_through)
            with pytest.raises(OutcomeUnknownError, match="read the records"):
                await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="in doubt"))
    async with create_adapter("postgresql", url) as adapter:
        expected = ["before", "in doubt"] if lets_through else ["before"]
        assert sorted(each.id for each in await adapter.get_llm_executions("s")) == expected


@pytest.mark.asyncio
async def test_a_save_that_no_server_got_says_that_it_may_be_repeated(server: Server):
    server.create_database("agents")
    url = server.url("agents")
    async with create_adapter("postgresql", url, acquire_timeout=0.5) as adapter:
        await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="before"))
        server.kill()
        (worker,) = adapter._executor._store.writers._workers.values()
        async with asyncio.timeout(SOON_S):
            while not worker._connection.is_closed_by_server:  # its process closes the socket last
                await asyncio.sleep(0.001)
        with pytest.raises(StorageUnavailableError) as caught:
            await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="after"))
        assert caught.value.is_retryable
