"""Checking, pruning and erasing on servers, where several transactions write at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
from histories import History
from whole_sessions import NOW, WHOLE, add, left

from aaow_storage import Session, StorageAdapter, create_adapter, maintenance_of
from aaow_storage_mariadb import testing as mariadb
from aaow_storage_postgresql import testing as postgresql
from aaow_storage_tools import PrunePolicy, PruneRule, check_store, erase, prune, verify_receipt

pytestmark = pytest.mark.asyncio
POLICY = PrunePolicy(rules=[PruneRule(older_than=timedelta(days=90))])


@pytest.fixture(params=[postgresql, mariadb], ids=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param.skipped_where_missing(), request.param.temporary_database() as database:
        yield database


@pytest_asyncio.fixture
async def storage(url: str) -> AsyncIterator[StorageAdapter]:
    async with create_adapter(url) as storage:
        yield storage


async def test_a_sound_store_has_no_finding(url: str, storage: StorageAdapter):
    await History(storage, 3).live(40)
    report = await check_store(storage, maintenance=maintenance_of(url))
    assert report.findings == ()
    assert report.is_sound


async def test_prune_deletes_what_the_dry_run_counts_while_others_write(url: str, storage: StorageAdapter):
    maintenance = maintenance_of(url)
    for number in range(20):
        await add(storage, f"old {number}", whole=True, workflow_snapshot={"shared": number % 3})
    await add(storage, "young", days=1, whole=True, workflow_snapshot={"shared": 0})
    dry = await prune(storage, POLICY, at=NOW, dry_run=True, maintenance=maintenance)

    async def write() -> None:
        for number in range(40):
            await storage.create_session(
                Session(id=f"new {number}", workflow_id=None, workflow_snapshot={"shared": number % 3})
            )

    real, _ = await asyncio.gather(prune(storage, POLICY, at=NOW, maintenance=maintenance, max_records=10), write())
    assert (real.counts, real.stored_bytes) == (dry.counts, dry.stored_bytes)
    assert real.counts == {kind: 20 * count for kind, count in WHOLE.items()}
    assert len(await left(storage)) == 41
    assert (await check_store(storage, maintenance=maintenance)).findings == ()


async def test_a_large_session_is_deleted_in_steps(url: str, storage: StorageAdapter):
    await add(storage, "large", whole=True)
    report = await prune(storage, POLICY, at=NOW, maintenance=maintenance_of(url), max_records=3)
    assert report.counts == WHOLE
    assert await left(storage) == set()
    assert (await check_store(storage, maintenance=maintenance_of(url))).findings == ()


async def test_what_is_erased_is_not_found_again(url: str, storage: StorageAdapter):
    await add(storage, "ada's", whole=True, metadata={"user": "ada"})
    await add(storage, "child", whole=True, parent_session_id="ada's")
    await add(storage, "grace's", whole=True, metadata={"user": "grace"})
    receipt = await erase(storage, {"metadata.user": "ada"}, maintenance=maintenance_of(url))
    assert receipt.counts == {kind: 2 * count for kind, count in WHOLE.items()}
    assert await verify_receipt(storage, receipt, where={"metadata.user": "ada"}) == []
    assert await left(storage) == {"grace's"}
    assert (await check_store(storage, maintenance=maintenance_of(url))).findings == ()
