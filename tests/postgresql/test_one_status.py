"""The trigger that records a status as a change of the execution state, too: it comes and goes with its revision."""

from collections.abc import Callable, Iterator

import pytest

from aaow_storage import create_adapter
from aaow_storage_conformance.data import samples
from aaow_storage_postgresql._connect import connect
from aaow_storage_postgresql._connection import PostgreSQLConnection
from aaow_storage_postgresql._settings import Settings
from aaow_storage_postgresql._upgrade import migrate_store
from aaow_storage_sql import HEAD

OLD = "0010"
ENABLED = (
    "SELECT tgenabled FROM pg_trigger WHERE NOT tgisinternal "
    "AND (tgname = 'aaow_updated_status' OR tgrelid = 'execution_states'::regclass)"
)


@pytest.fixture
def store(url: str) -> Iterator[tuple[PostgreSQLConnection, Settings]]:
    settings = Settings(url)
    opened = connect(settings)
    yield opened, settings
    opened.driver_connection.close()


@pytest.mark.asyncio
async def test_to_go_down_changes_no_record_for_the_feed_and_up_again_records(
    url: str, store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]]
):
    async with create_adapter("postgresql", url) as storage:
        await storage.create_session(samples.a_session(id="s", status="queued"))
        await storage.save_execution_state(samples.a_state("s", status="queued"))
        last = await storage.last_change()
    migrate_store(*store, OLD)
    assert raw("SELECT status FROM execution_states") == [("queued",)]
    migrate_store(*store, HEAD)
    async with create_adapter("postgresql", url) as storage:
        assert await storage.last_change() == last
        await storage.update_session("s", status="running")
        assert last is not None
        assert [each.kind for each in await storage.get_changes(last.position)] == ["session", "execution_state"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("records", "letter"), [(True, "O"), (False, "D")])
async def test_the_triggers_of_a_store_are_as_its_feed(
    url: str, store: tuple[PostgreSQLConnection, Settings], raw: Callable[..., list[tuple]], records: bool, letter: str
):
    async with create_adapter("postgresql", url, changes=records):
        assert set(raw(ENABLED)) == {(letter,)}
    migrate_store(*store, OLD)
    assert set(raw(ENABLED)) == {(letter,)}
    migrate_store(*store, HEAD)
    assert set(raw(ENABLED)) == {(letter,)}
    async with create_adapter("postgresql", url, changes=not records):
        assert set(raw(ENABLED)) == {("D" if records else "O",)}
