"""A transaction that a write on another node of a cluster has aborted."""

import asyncio

import pytest

from aaow_storage import Session, TransactionOutcome, create_adapter
from aaow_storage.errors import ContentionError
from aaow_storage_mariadb.testing import Cluster, Node

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.cluster,
    pytest.mark.slow(seconds=3),
    pytest.mark.xdist_group("mariadb cluster"),
]


ABORTED_WITHIN_S = 20.0


def aborts(node: Node) -> int:
    """Return how many transactions a node has aborted because a write of another node was in their way."""
    [(_, count)] = node.execute("SHOW GLOBAL STATUS LIKE 'wsrep_local_bf_aborts'")
    return int(count)


async def wait_for_more_aborts(node: Node, than: int) -> None:
    async with asyncio.timeout(ABORTED_WITHIN_S):
        while await asyncio.to_thread(aborts, node) <= than:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("ending", "outcome"), [("rollback", TransactionOutcome.ROLLED_BACK), ("commit", TransactionOutcome.ABORTED)]
)
async def test_it_ends_and_the_other_write_stays(cluster: Cluster, ending: str, outcome: TransactionOutcome):
    with cluster.temporary_database() as url:
        database = url.rpartition("/")[2]
        async with (
            create_adapter("mariadb", cluster.url(database), sync_wait=1) as here,
            create_adapter("mariadb", cluster.url(database, first=1), sync_wait=1) as there,
        ):
            await here.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
            before = aborts(cluster.nodes[0])
            transaction = await here.begin_transaction()
            await transaction.update_session("s", metadata={"by": "the transaction"})
            await there.update_session("s", metadata={"by": "the other"})
            await wait_for_more_aborts(cluster.nodes[0], before)
            if ending == "rollback":
                await transaction.rollback()
            else:
                with pytest.raises(ContentionError):
                    await transaction.commit()
            assert transaction.outcome is outcome
            assert (await here.get_session("s")).metadata == {"by": "the other"}
