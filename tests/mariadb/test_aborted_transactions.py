"""A transaction that a write on another node of a cluster has aborted."""

import pytest

from aaow_storage import Session, TransactionOutcome, create_adapter
from aaow_storage.errors import ContentionError
from aaow_storage_mariadb.testing import Cluster

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.cluster,
    pytest.mark.slow(seconds=3),
    pytest.mark.xdist_group("mariadb cluster"),
]


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
            transaction = await here.begin_transaction()
            await transaction.update_session("s", metadata={"by": "the transaction"})
            await there.update_session("s", metadata={"by": "the other"})
            assert (await here.get_session("s")).metadata == {"by": "the other"}
            if ending == "rollback":
                await transaction.rollback()
            else:
                with pytest.raises(ContentionError):
                    await transaction.commit()
            assert transaction.outcome is outcome
            assert (await here.get_session("s")).metadata == {"by": "the other"}
