"""Equal documents are stored once, checked when they are read, and deleted with their last reference."""

import pytest

from aaow_storage import QueryFilter, Session, StorageAdapter, StoredWorkflow
from aaow_storage.errors import CorruptDataError

pytestmark = pytest.mark.asyncio

DEFINITION = {"nodes": [{"id": "a"}], "name": "x"}


async def test_a_definition_and_all_its_snapshots_are_one_document(storage: StorageAdapter, raw):
    await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition=DEFINITION))
    for number in range(3):
        await storage.create_session(Session(id=f"s{number}", workflow_id="w", workflow_snapshot=DEFINITION))
    assert raw("SELECT count(*) FROM documents") == [(1,)]


async def test_documents_that_differ_in_the_order_of_keys_are_two(storage: StorageAdapter, raw):
    for number, snapshot in enumerate([{"a": 1, "b": 2}, {"b": 2, "a": 1}]):
        await storage.create_session(Session(id=f"s{number}", workflow_id=None, workflow_snapshot=snapshot))
    assert raw("SELECT count(*) FROM documents") == [(2,)]
    assert list((await storage.get_session("s1")).workflow_snapshot) == ["b", "a"]


async def test_a_document_is_deleted_with_its_last_reference(storage: StorageAdapter, raw):
    await storage.save_workflow(StoredWorkflow(id="w", name="n", version="1", definition=DEFINITION))
    await storage.create_session(Session(id="s", workflow_id="w", workflow_snapshot=DEFINITION))
    await storage.update_workflow("w", definition={"changed": True})
    assert raw("SELECT count(*) FROM documents") == [(2,)]
    await storage.delete_session("s")
    assert raw("SELECT body FROM documents") == [('{"changed":true}',)]
    await storage.save_workflow(StoredWorkflow(id="w", name="n", version="2", definition=DEFINITION))
    assert raw("SELECT count(*) FROM documents") == [(1,)]
    await storage.delete_workflow("w")
    assert raw("SELECT count(*) FROM documents") == [(0,)]


async def test_a_document_stays_if_the_delete_is_rolled_back(storage: StorageAdapter, raw):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot=DEFINITION))
    tx = await storage.begin_transaction()
    await tx.delete_session("s")
    await tx.rollback()
    assert (await storage.get_session("s")).workflow_snapshot == DEFINITION


@pytest.mark.parametrize(
    "damage",
    [
        """UPDATE documents SET body = replace(body, '"x"', '"y"')""",
        "UPDATE documents SET body = substr(body, 1, 5)",
        "DELETE FROM documents",
    ],
)
async def test_a_document_that_is_not_what_was_stored_is_reported(storage: StorageAdapter, raw, damage: str):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot=DEFINITION))
    raw(damage)
    with pytest.raises(CorruptDataError, match=r"the document [0-9a-f]{64}"):
        await storage.get_session("s")
    with pytest.raises(CorruptDataError, match=r"the document [0-9a-f]{64}"):
        await storage.list_sessions(QueryFilter(limit=1))


@pytest.mark.parametrize(
    "damage",
    ["UPDATE sessions SET metadata = '{'", "UPDATE sessions SET metadata = '[]'", "UPDATE sessions SET id = ''"],
)
async def test_a_row_that_makes_no_valid_record_is_reported(storage: StorageAdapter, raw, damage: str):
    await storage.create_session(Session(workflow_id=None, workflow_snapshot=DEFINITION))
    raw(damage)
    with pytest.raises(CorruptDataError):
        await storage.list_sessions()


async def test_a_document_is_checked_each_time_it_is_read(storage: StorageAdapter, raw):
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot=DEFINITION))
    assert (await storage.get_session("s")).workflow_snapshot == DEFINITION
    raw("""UPDATE documents SET body = replace(body, '"x"', '"y"')""")
    for _ in range(2):
        with pytest.raises(CorruptDataError, match="is not what was stored"):
            await storage.get_session("s")
    raw("""UPDATE documents SET body = replace(body, '"y"', '"x"')""")
    assert (await storage.get_session("s")).workflow_snapshot == DEFINITION


async def test_the_records_of_one_list_share_equal_documents_and_those_of_two_do_not(storage: StorageAdapter):
    for number in range(2):
        await storage.create_session(Session(id=f"s{number}", workflow_id=None, workflow_snapshot=DEFINITION))
    one, other = await storage.list_sessions()
    assert one.workflow_snapshot is other.workflow_snapshot
    one.workflow_snapshot["nodes"].append("mine")
    assert [each.workflow_snapshot for each in await storage.list_sessions()] == [DEFINITION, DEFINITION]
    assert (await storage.get_session("s0")).workflow_snapshot == DEFINITION
