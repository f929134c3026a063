"""The index of a page after a cursor is named, because MariaDB may read a list from the beginning."""

from collections.abc import Callable

import pytest

from aaow_storage import LLMExecutionResult, QueryFilter, Session, StorageAdapter, create_adapter
from aaow_storage_conformance.data import samples

pytestmark = pytest.mark.asyncio

ENTRIES = """
SELECT SUM(VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS
WHERE VARIABLE_NAME IN ('Handler_icp_attempts', 'Handler_read_next')
"""
"""How many entries of indexes the server has read."""
MANY = 2000
FIRST = QueryFilter(limit=10)


async def store_executions(storage: StorageAdapter) -> None:
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    async with storage.transaction() as transaction:
        for number in range(MANY):
            result = LLMExecutionResult(id=f"{number:04}", timestamp=samples.instant(number))
            await transaction.save_llm_execution("s", f"node {number % 2}", result)


async def entries_for_a_late_page(storage: StorageAdapter, raw: Callable[..., list[tuple]], node: str | None) -> int:
    """Return how many entries of indexes the server reads for the page after the last but twenty."""

    async def page(filter: QueryFilter) -> list[str]:
        if node is None:
            found = await storage.get_llm_executions("s", filter)
        else:
            found = await storage.get_node_llm_executions("s", node, filter)
        return [each.id for each in found]

    (mark,) = await storage.get_llm_executions("s", QueryFilter({"id": f"{MANY - 20:04}"}))
    late = FIRST.after(mark)
    await page(late)
    before = int(raw(ENTRIES)[0][0])
    assert len(await page(late)) >= 9
    return int(raw(ENTRIES)[0][0]) - before


@pytest.mark.parametrize("node", [None, "node 0"])
async def test_a_late_page_reads_no_row_before_it(raw: Callable[..., list[tuple]], url: str, node: str | None):
    async with create_adapter("mariadb", url) as storage:
        await store_executions(storage)
        assert await entries_for_a_late_page(storage, raw, node) < 100


async def test_a_page_with_another_condition_leaves_the_choice_to_the_server(url: str):
    async with create_adapter("mariadb", url) as storage:
        await store_executions(storage)
        (mark,) = await storage.get_llm_executions("s", QueryFilter({"id": "0000"}))
        chosen = QueryFilter({"id": "1000"}, limit=10).after(mark)
        assert [each.id for each in await storage.get_llm_executions("s", chosen)] == ["1000"]
