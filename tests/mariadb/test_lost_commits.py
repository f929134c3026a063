"""Commits whose connection is lost: none is done twice, and what is told of one never changes afterwards."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal

import pytest

from aaow_storage import BudgetPool, LLMExecutionResult, Session, TransactionOutcome, create_adapter
from aaow_storage.errors import OutcomeUnknownError, StorageError, StorageUnavailableError
from aaow_storage_mariadb._connection import MariaDBConnection
from aaow_storage_mariadb._location import location_of
from aaow_storage_mariadb._server import MariaDBServer
from aaow_storage_mariadb._settings import Settings
from aaow_storage_mariadb.testing import Cluster, Server
from aaow_storage_sql import ServerConnection
from aaow_storage_sql._servers.commit_marks import CommitMark, CommitMarks
from aaow_storage_sql.testing import proxy_of

WAYS = pytest.mark.parametrize(
    "lets_through", [False, True], ids=["before the server has it", "after the server has it"]
)


@pytest.mark.asyncio
@WAYS
async def test_an_operation_whose_commit_loses_its_connection_is_done_once(url: str, driver: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("mariadb", proxy.url, driver=driver) as adapter:
            pool = BudgetPool(total_budget=100)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            await adapter.create_budget_pool(pool)
            for _ in range(10):
                proxy.cut_once(b"COMMIT", lets_through=lets_through)
                await adapter.consume_budget(pool.id, 3)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            session = Session(workflow_id=None, workflow_snapshot={"nodes": []})
            await adapter.create_session(session)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            await adapter.delete_session(session.id)
            assert proxy.cuts == 13
            assert (await adapter.get_budget_pool(pool.id)).used_budget == Decimal(30)
            assert await adapter.list_sessions() == []
            assert len(await adapter.get_changes()) == 13


@pytest.mark.asyncio
@WAYS
async def test_a_commit_that_loses_its_connection_reports_its_outcome(url: str, driver: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("mariadb", proxy.url, driver=driver) as adapter:
            transaction = await adapter.begin_transaction()
            await transaction.create_budget_pool(BudgetPool(id="p", total_budget=1))
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            if lets_through:
                await transaction.commit()
                assert transaction.outcome is TransactionOutcome.COMMITTED
            else:
                with pytest.raises(StorageUnavailableError, match="nothing was stored"):
                    await transaction.commit()
                assert transaction.outcome is TransactionOutcome.ABORTED
            assert [pool.id for pool in await adapter.list_budget_pools()] == ["p"] * lets_through


@pytest.mark.asyncio
@WAYS
async def test_a_save_whose_outcome_no_server_can_tell_says_so(url: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("mariadb", proxy.url, pool_size=2, acquire_timeout=0.5) as adapter:
            await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
            await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="before"))
            proxy.close()
            proxy.cut_once(b"in doubt", lets_through=lets_through)
            with pytest.raises(OutcomeUnknownError, match="read the records"):
                await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="in doubt"))
    async with create_adapter("mariadb", url) as adapter:
        expected = ["before", "in doubt"] if lets_through else ["before"]
        assert sorted(each.id for each in await adapter.get_llm_executions("s")) == expected


@pytest.mark.asyncio
async def test_a_save_that_no_server_got_says_that_it_may_be_repeated(server: Server):
    server.create_database("agents")
    url = server.url("agents")
    async with create_adapter("mariadb", url, acquire_timeout=0.5) as adapter:
        await adapter.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="before"))
        server.kill()
        with pytest.raises(StorageUnavailableError) as caught:
            await adapter.save_llm_execution("s", "n", LLMExecutionResult(id="after"))
        assert caught.value.is_retryable


@pytest.fixture
def table(url: str, raw: Callable[..., list[tuple]]) -> None:
    """A store with a table to write to."""
    asyncio.run(_make_store(url))
    raw("CREATE TABLE written (id INTEGER PRIMARY KEY)")


async def _make_store(url: str) -> None:
    async with create_adapter("mariadb", url):
        pass


def connect(url: str) -> MariaDBConnection:
    return MariaDBServer(Settings(location=location_of(url))).connect()


class LateCommit:
    """A transaction whose COMMIT is on its way to one server, while another connection asks for it."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)
        self._connection.begin_writing()
        self._connection.command("INSERT INTO written VALUES (1)")
        self._connection._marks = CommitMarks()
        self.mark = CommitMark(self._connection._marks._token, 1)

    def send_mark(self) -> None:
        """Store the mark, in a request of its own."""
        assert ServerConnection.prepare_commit(self._connection) == self.mark

    def arrive(self) -> None:
        """Commit, and store the mark before that, unless it is stored."""
        if self._connection._marks._number == 0:
            assert self._connection.prepare_commit() == self.mark
        self._connection.command("COMMIT")

    def close(self) -> None:
        self._connection.close()


def answers(mark: CommitMark, url: str, count: int = 1) -> list[bool | None]:
    """Ask for the outcome on another connection."""
    with closing(connect(url)) as connection:
        return [mark.resolve(connection) for _ in range(count)]


@pytest.mark.usefixtures("table")
def test_while_a_transaction_is_open_there_is_no_answer_and_none_waits(url: str):
    with closing(LateCommit(url)) as late:
        late.send_mark()
        assert answers(late.mark, url) == [None]
        late.arrive()
        assert answers(late.mark, url, 2) == [True, True]


@pytest.mark.usefixtures("table")
def test_a_commit_that_arrives_after_the_answer_that_it_did_not_fails(url: str, raw: Callable[..., list[tuple]]):
    with closing(LateCommit(url)) as late:
        assert answers(late.mark, url, 2) == [False, False]
        with pytest.raises(StorageError):
            late.arrive()
    assert raw("SELECT * FROM written") == []
    assert answers(late.mark, url) == [False]


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[list[str]]:
    """The URLs of a database on each node, with a store that has a table to write to."""
    with cluster.temporary_database() as url:
        name = url.rpartition("/")[2]
        asyncio.run(_make_store(url))
        cluster.nodes[0].execute(f"CREATE TABLE `{name}`.written (id INTEGER PRIMARY KEY)")
        cluster.wait_until_synced()
        yield [node.url(name) for node in cluster.nodes]


@pytest.mark.cluster
@pytest.mark.xdist_group("mariadb cluster")
@pytest.mark.slow(seconds=25)
@pytest.mark.parametrize("is_marked", [False, True], ids=["with its mark", "after its mark"])
def test_a_commit_that_arrives_after_another_node_said_that_it_did_not_fails(nodes: list[str], is_marked: bool):
    with closing(LateCommit(nodes[0])) as late:
        if is_marked:
            late.send_mark()
        assert answers(late.mark, nodes[1], 2) == [False, False]
        with pytest.raises(StorageError):
            late.arrive()
    for url in nodes:
        with closing(connect(url)) as connection:
            assert connection.command("SET SESSION wsrep_sync_wait = 7") is None
            assert connection.command("SELECT COUNT(*) FROM written") == (0,)
            assert answers(late.mark, url) == [False]


@pytest.mark.cluster
@pytest.mark.xdist_group("mariadb cluster")
@pytest.mark.slow(seconds=5)
def test_every_node_says_of_a_commit_that_it_succeeded(nodes: list[str]):
    with closing(LateCommit(nodes[0])) as late:
        late.arrive()
        for url in nodes:
            assert answers(late.mark, url)[-1] in {True, None}
            assert True in answers(late.mark, url, 5)
