import attrs
import pytest
import pytest_asyncio

from aaow_storage import QueryFilter, create_adapter
from aaow_storage.authoring import KINDS as KIND_NAMES
from aaow_storage_conformance.data.kinds import fill_store
from aaow_storage_tools._kinds import KIND_OF, KINDS, OF_SESSION
from aaow_storage_tools._pages import MAX_PAGE_LENGTH, PageLength, pages_of_kind, records_of_kind, records_of_session

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def storage():
    async with create_adapter("memory") as adapter:
        yield adapter


async def test_every_kind_of_record_is_there_with_what_it_refers_to_before_it():
    assert {kind.record: kind.name for kind in KINDS} == KIND_NAMES
    names = [kind.name for kind in KINDS]
    async with create_adapter("memory") as storage:
        await fill_store(storage)
        for kind in KINDS:
            async for record in records_of_kind(storage, kind):
                for reference in kind.references(record):
                    assert names.index(reference.kind) <= names.index(kind.name)


async def test_a_kind_lists_gets_and_saves_its_records(storage):
    await fill_store(storage)
    async with create_adapter("memory") as target:
        for kind in KINDS:
            records = [record async for record in records_of_kind(storage, kind)]
            assert records, kind.name
            for record in records:
                assert await kind.get(storage, kind.id_of(record)) == record
                await kind.save(target, record)
            assert [record async for record in records_of_kind(target, kind)] == records
            assert await kind.get(storage, "no such id") is None


async def test_the_records_of_a_session_are_found_by_kind(storage):
    await fill_store(storage)
    for kind in (*OF_SESSION, KIND_OF["stream_event"]):
        everywhere = [record async for record in records_of_kind(storage, kind)]
        for session in await storage.list_sessions():
            of_session = [record async for record in records_of_session(storage, kind, session.id)]
            ids = {kind.id_of(record) for record in of_session}
            assert ids == {kind.id_of(record) for record in everywhere if record.session_id == session.id}


async def test_a_walk_sees_every_record_once_and_goes_on_after_any(storage):
    await fill_store(storage)
    (workflow, *_) = await storage.list_workflows()
    for number in range(200):
        await storage.save_workflow(attrs.evolve(workflow, id=f"w{number}"))
    pages = [page async for page in pages_of_kind(storage, KIND_OF["workflow"])]
    seen = [record for page in pages for record in page]
    assert seen == await storage.list_workflows()
    assert len(pages[0]) < len(pages[1])
    rest = [record async for record in records_of_kind(storage, KIND_OF["workflow"], after=seen[99])]
    assert rest == seen[100:]


async def test_a_page_has_as_many_records_as_fit_into_it(storage):
    await fill_store(storage)
    (small, *_) = await storage.list_workflows(QueryFilter(limit=1))
    large = attrs.evolve(small, definition={"text": "x" * 3 * 2**20})
    length = PageLength()
    for _ in range(4):
        length.learn_from([small])
    assert length.value == MAX_PAGE_LENGTH
    length.learn_from([small, large])
    assert length.value == 1
