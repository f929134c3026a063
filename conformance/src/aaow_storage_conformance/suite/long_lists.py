"""Lists, counts and sums of more records than a page of the defaults has."""

from aaow_storage import LLMExecutionResult, QueryFilter, StorageAdapter, StorageOperations, ToolCallLog
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples

MANY = 1100
"""More records than a page of a reader has."""


class LongListTests:
    """No list ends early."""

    @clause("OPS-12", "OPS-9", "USE-1")
    async def test_a_list_of_many_records_of_one_session_is_whole(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id="s")
        async with storage.transaction(timeout=600) as transaction:
            for number in range(MANY):
                at = samples.instant(number // 3)  # many have the same instant
                name = f"{number:04}"
                result = LLMExecutionResult(id=name, timestamp=at, cost="0.1", currency="EUR")
                await transaction.save_llm_execution("s", "n", result)
                log = ToolCallLog(
                    id=name, session_id="s", node_id="n", tool_call_id="c", tool_name="t", args={}, timestamp=at
                )
                await transaction.log_tool_call(log)
        ids = [f"{number:04}" for number in range(MANY)]
        assert [each.id for each in await storage.list_llm_executions()] == ids
        assert [each.id for each in await storage.list_tool_calls()] == ids
        assert await storage.count_llm_executions() == MANY
        assert await storage.count_llm_executions(QueryFilter(offset=1)) == MANY - 1
        assert [each.id for each in await storage.list_llm_executions(QueryFilter(offset=MANY - 2))] == ids[-2:]
        assert [each.id for each in await storage.list_tool_calls(QueryFilter(offset=MANY - 2))] == ids[-2:]
        assert [each.id for each in await StorageOperations.list_llm_executions(storage)] == ids
        assert [each.id for each in await StorageOperations.list_tool_calls(storage)] == ids
        assert await StorageOperations.count_llm_executions(storage) == MANY
        for (total,) in (await storage.summarize_usage(), await StorageOperations.summarize_usage(storage)):
            assert (total.executions, str(total.costs["EUR"])) == (MANY, "110")
