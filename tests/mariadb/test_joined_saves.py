"""Rows that several callers save at once go in one transaction, and each is saved as if it went alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from aaow_storage import ChangeAction, LLMExecutionResult, Session, StorageAdapter, create_adapter
from aaow_storage.errors import NotFoundError, ValidationError
from aaow_storage_sql.testing import proxy_of

pytestmark = pytest.mark.asyncio

MANY = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
SOON_S = 20.0
ONE_SAVER = {"pool_size": 4}
"""Options with which one thread saves what several callers save at once."""
WAYS = pytest.mark.parametrize(
    "lets_through", [False, True], ids=["before the server has it", "after the server has it"]
)


@pytest_asyncio.fixture
async def storage(url: str, driver: str) -> AsyncIterator[StorageAdapter]:
    """An adapter whose thread that saves has its connection."""
    async with create_adapter("mariadb", url, driver=driver, **ONE_SAVER) as adapter:
        await prepare(adapter)
        yield adapter


async def prepare(storage: StorageAdapter) -> None:
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    await save(storage, "first")


async def save(storage: StorageAdapter, id: str, *, session: str = "s", text: str | None = None) -> None:
    await storage.save_llm_execution(session, "n", LLMExecutionResult(id=id, timestamp=START, text=text))


async def saved(storage: StorageAdapter) -> list[str]:
    return sorted(each.id for each in await storage.get_llm_executions("s"))


async def changes(storage: StorageAdapter) -> list[tuple[str, ChangeAction]]:
    """Return what was done to executions since the first, in the order of their ids."""
    found = await storage.get_changes(kinds=["llm_execution"])
    return sorted((each.id, each.action) for each in found[1:])


def names() -> list[str]:
    return [f"e{number:02}" for number in range(MANY)]


async def test_saves_of_many_callers_are_committed_together(storage: StorageAdapter, requests: list[str]):
    requests.clear()
    await asyncio.gather(*(save(storage, each) for each in names()))
    assert len([each for each in requests if "COMMIT" in each]) < MANY / 2
    assert await saved(storage) == [*names(), "first"]
    assert await changes(storage) == [(each, ChangeAction.CREATED) for each in names()]


async def test_each_of_them_is_in_the_feed_by_what_it_did(storage: StorageAdapter):
    await asyncio.gather(*(save(storage, each) for each in names()))
    (last,) = (await storage.get_changes())[-1:]
    texts = dict.fromkeys(names()[:3], "another")
    await asyncio.gather(*(save(storage, each, text=texts.get(each)) for each in names()))
    found = [(each.id, each.action) for each in await storage.get_changes(last.position)]
    assert sorted(found) == [(each, ChangeAction.UPDATED) for each in texts]


async def test_the_error_of_one_reaches_its_caller_alone(storage: StorageAdapter):
    sessions = {each: "missing" if each in {"e03", "e10"} else "s" for each in names()}
    saves = [save(storage, each, session=session) for each, session in sessions.items()]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    failed = [each for each, outcome in zip(names(), outcomes, strict=True) if isinstance(outcome, NotFoundError)]
    assert failed == ["e03", "e10"]
    assert [outcome for outcome in outcomes if outcome is not None] == [outcomes[3], outcomes[10]]
    assert await saved(storage) == [each for each in [*names(), "first"] if each not in failed]
    assert len(await changes(storage)) == MANY - 2


async def test_one_that_waits_for_a_lock_holds_up_no_other(storage: StorageAdapter):
    async with storage.transaction() as transaction:
        await transaction.save_llm_execution("s", "n", LLMExecutionResult(id="first", text="of the transaction"))
        waiting = asyncio.create_task(save(storage, "first", text="later"), context=Context())
        others = [asyncio.create_task(save(storage, each), context=Context()) for each in names()]
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*others)
        assert not waiting.done()
    await asyncio.wait_for(waiting, SOON_S)
    assert [each.text for each in await storage.get_llm_executions("s") if each.id == "first"] == ["later"]
    assert await saved(storage) == [*names(), "first"]


async def test_one_that_is_too_long_is_refused_alone(storage: StorageAdapter, raw: Callable[..., list[tuple]]):
    ((longest,),) = raw("SELECT @@max_allowed_packet")
    quotes = "'" * (longest // 2)
    saves = [save(storage, each, text=quotes if each == "e05" else None) for each in names()]
    outcomes = await asyncio.gather(*saves, return_exceptions=True)
    assert isinstance(outcomes[5], ValidationError)
    assert await saved(storage) == [each for each in [*names(), "first"] if each != "e05"]


@WAYS
async def test_each_is_saved_once_if_their_connection_is_lost_at_the_commit(url: str, driver: str, lets_through: bool):
    with proxy_of(url) as proxy:
        async with create_adapter("mariadb", proxy.url, driver=driver, **ONE_SAVER) as storage:
            await prepare(storage)
            proxy.cut_once(b"COMMIT", lets_through=lets_through)
            await asyncio.gather(*(save(storage, each) for each in names()))
            assert proxy.cuts == 1
            assert await saved(storage) == [*names(), "first"]
            assert await changes(storage) == [(each, ChangeAction.CREATED) for each in names()]


async def test_the_others_are_saved_if_some_callers_are_cancelled(storage: StorageAdapter):
    saving = [asyncio.create_task(save(storage, each)) for each in names()]
    await asyncio.sleep(0)
    for task in saving[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*saving, return_exceptions=True)
    assert [outcome is None for outcome in outcomes[1::2]] == [True] * (MANY // 2)
    kept = await saved(storage)
    assert set(names()[1::2]) <= set(kept)
    assert [each for each, _ in await changes(storage)] == [each for each in kept if each != "first"]


async def test_what_was_accepted_is_saved_before_the_adapter_is_closed(url: str):
    async with create_adapter("mariadb", url, **ONE_SAVER) as storage:
        await prepare(storage)
        saving = [asyncio.create_task(save(storage, each)) for each in names()]
        failing = asyncio.create_task(save(storage, "x", session="missing"))
        await asyncio.sleep(0)
    await asyncio.gather(*saving)
    with pytest.raises(NotFoundError):
        await failing
    async with create_adapter("mariadb", url, **ONE_SAVER) as storage:
        assert await saved(storage) == [*names(), "first"]


async def test_a_store_without_a_feed_saves_them_too(url: str):
    async with create_adapter("mariadb", url, changes=False, **ONE_SAVER) as storage:
        await prepare(storage)
        await asyncio.gather(*(save(storage, each) for each in names()))
        assert await saved(storage) == [*names(), "first"]
