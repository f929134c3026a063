"""Inputs of model calls that repeat each other: what comes back is equal, whatever they have in common."""

import asyncio
import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from aaow_storage import JSON, LLMExecution, Ne, QueryFilter, StorageAdapter, StorageOperations
from aaow_storage_conformance._contract import clause
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_conformance.data.kinds import SESSION_ID
from aaow_storage_conformance.harness.store import Store

OTHER_SESSION_ID = "session-other"
LONG = "a long text, so that no backend takes it for cheaper to keep than to look up; " * 12
MEBIBYTE = 1024 * 1024
MANY = 10_000
SIMILAR: tuple[JSON, ...] = (
    {"role": "user", "content": LONG, "n": 1},
    {"role": "user", "n": 1, "content": LONG},
    {"role": "user", "content": LONG, "n": 1.0},
    {"role": "user", "content": LONG, "n": True},
    {"role": "user", "content": LONG, "n": 0.0},
    {"role": "user", "content": LONG, "n": -0.0},
    {"role": "user", "content": LONG, "n": 0},
    {"role": "user", "content": LONG, "n": None},
    {"role": "user", "content": LONG, "n": []},
    {"role": "user", "content": LONG, "n": {}},
    {"role": "user", "content": LONG, "n": [{"a": 1, "b": 2}]},
    {"role": "user", "content": LONG, "n": [{"b": 2, "a": 1}]},
    {"role": "user", "content": LONG, "n": [{"a": 1}, {"b": 2}]},
    {"role": "user", "content": LONG},
    {"role": "user", "content": LONG + " "},
    {"role": "user", "content": [LONG]},
    {"role": "user", "content": LONG, "": "\n"},
    LONG,
    [LONG],
    [],
    None,
)
"""Messages that something hasty may take for each other."""
OTHERS: tuple[JSON, ...] = (
    None,
    [],
    {},
    "",
    LONG,
    0,
    False,
    [None],
    [[]],
    {"messages": [LONG, LONG]},
    [LONG],
    [[LONG]],
)
"""Inputs that are no lists of dicts."""


def message(number: int, text: str = LONG) -> dict[str, JSON]:
    """A message, which no other number has."""
    return {"role": "assistant" if number % 2 else "user", "content": f"{number}: {text}"}


class InputTests:
    """Inputs that grow, branch and change."""

    @clause("LLM-4")
    async def test_each_input_of_a_conversation_comes_back_as_it_was(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        messages: list[JSON] = []
        expected = []
        for turn in range(12):
            messages += [message(2 * turn), message(2 * turn + 1)]
            expected.append(await saved(storage, messages))
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)
        assert_identical(await storage.get_node_llm_executions(SESSION_ID, "draft"), expected)
        assert_identical(await storage.list_llm_executions(), expected)
        last = QueryFilter({"id": expected[-1].id})
        assert_identical(await storage.get_llm_executions(SESSION_ID, last), expected[-1:])

    @clause("LLM-4", "REC-4")
    @pytest.mark.parametrize("place", [0, 2, 4])
    async def test_messages_that_resemble_each_other_are_different(self, storage: StorageAdapter, place: int) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        expected = []
        for other in SIMILAR:
            messages: list[JSON] = [message(number) for number in range(5)]
            messages[place] = other
            expected.append(await saved(storage, messages))
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4")
    async def test_an_input_may_be_edited_in_the_middle_shortened_and_cut_at_its_beginning(
        self, storage: StorageAdapter
    ) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        whole: list[JSON] = [message(number) for number in range(8)]
        edited = [*whole[:3], message(3, "edited" + LONG), *whole[4:]]
        inserted = [*whole[:3], message(100), *whole[3:]]
        swapped = [*whole[:3], whole[4], whole[3], *whole[5:]]
        twice = [*whole, *whole]
        inputs = [whole, edited, inserted, swapped, whole[:5], whole[:1], whole[1:], whole[4:], twice, whole, edited]
        expected = [await saved(storage, each) for each in inputs]
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4")
    async def test_branches_share_a_beginning_and_nothing_else(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        beginning: list[JSON] = [message(number) for number in range(3)]
        branches = [list(beginning), list(beginning), list(beginning)]
        expected = []
        for turn in range(4):
            for number, branch in enumerate(branches):
                branch.append(message(turn, f"branch {number}" + LONG))
                expected.append(await saved(storage, branch, node_id=("draft", "draft", "review")[number]))
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4")
    async def test_an_input_need_be_no_list_and_may_be_short_or_null(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        expected = []
        for other in OTHERS:
            expected += [await saved(storage, other), await saved(storage, [message(0), other])]
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)
        for condition, is_null in ((None, True), (Ne(None), False)):
            found = await storage.list_llm_executions(QueryFilter({"input": condition}))
            assert_identical(found, [each for each in expected if (each.input is None) is is_null])
            assert await storage.count_llm_executions(QueryFilter({"input": condition})) == len(found)

    @clause("LLM-4", "SES-3")
    async def test_sessions_with_the_same_messages_are_independent(self, storage: StorageAdapter) -> None:
        messages: list[JSON] = [message(number) for number in range(4)]
        for session_id in (SESSION_ID, OTHER_SESSION_ID):
            await samples.stored_session(storage, id=session_id)
        await saved(storage, messages)
        expected = [
            await saved(storage, messages, OTHER_SESSION_ID),
            await saved(storage, [*messages, message(4)], OTHER_SESSION_ID),
        ]
        await storage.delete_session(SESSION_ID)
        assert_identical(await storage.list_llm_executions(), expected)
        expected.append(await saved(storage, [*messages, message(5)], OTHER_SESSION_ID))
        assert_identical(await storage.get_llm_executions(OTHER_SESSION_ID), expected)

    @clause("LLM-4", "SES-3")
    async def test_a_session_that_was_deleted_and_created_again_begins_anew(
        self, storage: StorageAdapter, store: Store
    ) -> None:
        messages: list[JSON] = [message(number) for number in range(4)]
        async with store.open() as beside:
            for deleting in (storage, beside):
                await samples.stored_session(storage, id=SESSION_ID)
                await saved(storage, messages)
                await deleting.delete_session(SESSION_ID)
                await samples.stored_session(deleting, id=SESSION_ID)
                expected = [await saved(storage, messages), await saved(storage, [*messages, message(4)])]
                assert_identical(await beside.get_llm_executions(SESSION_ID), expected)
                await deleting.delete_session(SESSION_ID)

    @clause("LLM-4", "TXN-1", "TXN-4")
    async def test_messages_that_were_rolled_back_are_stored_by_the_next_call(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        messages: list[JSON] = [message(number) for number in range(3)]
        with suppress(ZeroDivisionError):
            async with storage.transaction() as transaction:
                await saved(transaction, messages)
                raise ZeroDivisionError
        expected = [await saved(storage, messages)]
        messages += [message(3), message(4)]
        async with storage.transaction() as transaction:
            with suppress(ZeroDivisionError):
                async with transaction.savepoint():
                    await saved(transaction, messages)
                    raise ZeroDivisionError
            expected.append(await saved(transaction, [*messages, message(5)]))
            assert_identical(await transaction.get_llm_executions(SESSION_ID), expected)
        expected.append(await saved(storage, messages))
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4", "CON-1")
    async def test_adapters_save_the_same_conversation_at_once(self, storage: StorageAdapter, store: Store) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        messages: list[JSON] = [message(number) for number in range(10)]
        async with store.open() as beside:
            made = await asyncio.gather(
                *(
                    saved(adapter, messages[:length])
                    for length in range(1, len(messages) + 1)
                    for adapter in (storage, beside, storage)
                )
            )
        expected = sorted(made, key=lambda each: (each.timestamp, each.id))
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4", "OPS-3")
    async def test_an_execution_that_is_saved_again_has_its_new_input(self, storage: StorageAdapter) -> None:
        for session_id in (SESSION_ID, OTHER_SESSION_ID):
            await samples.stored_session(storage, id=session_id)
        messages: list[JSON] = [message(number) for number in range(4)]
        other = await saved(storage, messages)
        first = samples.a_result(input=messages)
        await storage.save_llm_execution(SESSION_ID, "draft", first)
        for value in (messages, [*messages, message(4)], [message(5), *messages], {"text": LONG}, None, messages[:2]):
            again = samples.a_result(id=first.id, timestamp=first.timestamp, input=value)
            for session_id in (SESSION_ID, OTHER_SESSION_ID):
                await storage.save_llm_execution(session_id, "draft", again)
                (found,) = await storage.list_llm_executions(QueryFilter({"id": first.id}))
                assert_identical(found, samples.an_execution(session_id, "draft", again))
        await storage.delete_session(OTHER_SESSION_ID)
        assert_identical(await storage.list_llm_executions(), [other])

    @clause("LLM-4", "REC-6")
    async def test_an_input_is_the_callers_own_before_and_after(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        messages: list[Any] = [message(0), {"role": "user", "content": [{"type": "text", "text": LONG}]}]
        expected = []
        for turn in range(4):
            result = samples.a_result(input=messages)
            expected.append(samples.an_execution(SESSION_ID, "draft", copy.deepcopy(result)))
            saving = asyncio.ensure_future(storage.save_llm_execution(SESSION_ID, "draft", result))
            await asyncio.sleep(0)
            messages[1]["content"].append({"type": "text", "text": f"{turn}"})
            messages[0]["content"] += "."
            messages.append(message(turn + 1))
            await saving
        found = await storage.get_llm_executions(SESSION_ID)
        assert_identical(found, expected)
        for each in found:
            inputs: Any = each.input
            inputs[1]["content"].clear()
            inputs.clear()
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4", "REC-7")
    async def test_an_input_may_have_a_message_of_eight_mebibytes(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        large = message(1, "\N{SNOWMAN}ab\n" * (8 * MEBIBYTE // 6))
        expected = [
            await saved(storage, each) for each in ([message(0)], [message(0), large], [message(0), large, message(2)])
        ]
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)

    @clause("LLM-4", "REC-7")
    async def test_an_input_may_have_ten_thousand_messages(self, storage: StorageAdapter) -> None:
        await samples.stored_session(storage, id=SESSION_ID)
        many: list[JSON] = [{"role": "user", "content": f"message {number}"} for number in range(MANY)]
        edited = [*many[: MANY // 2], {"role": "user", "content": "edited"}, *many[MANY // 2 + 1 :]]
        expected = [await saved(storage, each) for each in (many, [*many, message(MANY)], edited)]
        assert_identical(await storage.get_llm_executions(SESSION_ID), expected)


async def saved(
    storage: StorageOperations,
    given: JSON | Sequence[JSON],
    session_id: str = SESSION_ID,
    node_id: str = "draft",
) -> LLMExecution:
    """Save an execution with that input, and return what is to be read."""
    value: Any = list(given) if isinstance(given, list) else given
    return await samples.stored_execution(storage, session_id, node_id, input=value)
