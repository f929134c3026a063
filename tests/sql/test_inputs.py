"""The messages of long inputs: how many bytes they take, when they go, what is read and remembered of them."""

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaow_storage import CorruptDataError, QueryFilter, Session, StorageAdapter, create_adapter
from aaow_storage.authoring import loads
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.contents import assert_identical
from aaow_storage_sql import REVISIONS, SQLConnection
from aaow_storage_sql._compression import compressed, compressed_bytes, decompressed
from aaow_storage_sql._mapping.inputs import SEPARATOR, KnownInputs
from aaow_storage_sql._mapping.structures import Structure
from aaow_storage_sqlite._connections import open_writer
from aaow_storage_sqlite._location import Location
from aaow_storage_sqlite._settings import Settings, Synchronous
from aaow_storage_sqlite._upgrade import migrate_store

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "
BEFORE = REVISIONS[REVISIONS.index("0008") - 1]
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, -0.0, 1.0, 0.5])
    | st.sampled_from(["", "a"]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from("ab\n"), parts, max_size=3),
    max_leaves=6,
)


def message(number: int, length: int = 2000, *, seed: int = 0) -> dict[str, Any]:
    """A message of text that compresses badly."""
    text = "".join(random.Random(f"{seed} {number}").choices(LETTERS, k=length))
    return {"role": "assistant" if number % 2 else "user", "content": text}


async def save(storage: StorageAdapter, messages: Any, session_id: str = "s", **fields: Any) -> Any:
    return await samples.stored_execution(storage, session_id, input=messages, **fields)


async def conversation(storage: StorageAdapter, turns: int = 8, session_id: str = "s") -> list[Any]:
    """Save a conversation; return its executions."""
    await storage.create_session(Session(id=session_id, workflow_id=None, workflow_snapshot={}))
    messages = [message(number) for number in range(turns)]
    return [await save(storage, messages[: turn + 1], session_id) for turn in range(turns)]


def rows_in(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT session_id, digest, previous, body FROM messages ORDER BY rowid").fetchall()
    connection.close()
    return rows


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("per_turn", [1, 2])
async def test_conversations_of_a_hundred_turns_take_at_most_a_third_more_bytes_than_their_messages(
    tmp_path: Path, per_turn: int
):
    path = tmp_path / "store.db"
    written = 0
    async with create_adapter("sqlite", str(path)) as storage:
        for number in range(25):  # more would add to the messages, not to what else the file holds
            session = await samples.stored_session(storage)
            messages: list[Any] = []
            for turn in range(100):
                messages += [message(per_turn * turn + each, seed=number) for each in range(per_turn)]
                written += 2000 * per_turn
                await save(storage, list(messages), session.id, text="ok", metadata=None, tool_calls=None, error=None)
    assert path.stat().st_size <= 1.3 * written


@pytest.mark.asyncio
async def test_each_message_of_a_conversation_is_stored_once(storage: StorageAdapter, tmp_path: Path):
    await conversation(storage)
    bodies = [decompressed(body) for *_, body in rows_in(tmp_path / "store.db")]
    assert [loads(body) for body in bodies] == [message(number) for number in range(8)]
    assert max(map(len, bodies)) < 2100


@pytest.mark.asyncio
async def test_an_adapter_that_is_opened_later_goes_on_where_the_last_one_ended(tmp_path: Path):
    path = tmp_path / "store.db"
    async with create_adapter("sqlite", str(path)) as storage:
        executions = await conversation(storage)
    before = rows_in(path)
    async with create_adapter("sqlite", str(path)) as storage:
        executions.append(await save(storage, [*executions[-1].input, message(8)]))
        executions.append(await save(storage, executions[3].input))
        assert_identical(await storage.get_llm_executions("s"), executions)
    assert rows_in(path)[:-1] == before


@pytest.mark.asyncio
async def test_a_branch_in_the_middle_stores_what_is_different(storage: StorageAdapter, tmp_path: Path):
    whole = [message(number) for number in range(40)]
    await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
    first = await save(storage, whole)
    stored = len(rows_in(tmp_path / "store.db"))
    second = await save(storage, [*whole[:39], message(100)])
    added = rows_in(tmp_path / "store.db")[stored:]
    assert sum(len(decompressed(body)) for *_, body in added) <= 16 * 1024 + 2100
    assert_identical(await storage.get_llm_executions("s"), [first, second])


@pytest.mark.asyncio
async def test_messages_go_with_their_session_alone(storage: StorageAdapter, tmp_path: Path):
    await conversation(storage, session_id="s")
    others = await conversation(storage, session_id="t")
    await storage.delete_session("s")
    assert {session_id for session_id, *_ in rows_in(tmp_path / "store.db")} == {"t"}
    assert_identical(await storage.list_llm_executions(), others)
    await storage.delete_session("t")
    assert rows_in(tmp_path / "store.db") == []


@pytest.mark.asyncio
async def test_an_execution_moves_to_a_conversation_that_goes_on_with_it(storage: StorageAdapter, tmp_path: Path):
    executions = await conversation(storage, turns=3, session_id="s")
    other = await conversation(storage, turns=1, session_id="t")
    moved = await save(storage, [*executions[-1].input, message(3)], "s", id=other[0].id)
    assert_identical(await storage.get_llm_executions("s"), [*executions, moved])
    assert await storage.get_llm_executions("t") == []
    assert [session_id for session_id, *_ in rows_in(tmp_path / "store.db")].count("s") == 4


@pytest.mark.asyncio
async def test_what_was_rolled_back_or_deleted_elsewhere_is_stored_again(storage: StorageAdapter, tmp_path: Path):
    executions = await conversation(storage)
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM llm_executions")
        other.execute("DELETE FROM messages")
    other.close()
    again = [await save(storage, executions[-1].input), await save(storage, [*executions[-1].input, message(8)])]
    assert_identical(await storage.get_llm_executions("s"), again)


@pytest.mark.asyncio
async def test_a_list_reads_each_message_once_and_without_documents_none(
    storage: StorageAdapter, monkeypatch: pytest.MonkeyPatch
):
    executions = await conversation(storage)
    read: list[int] = []
    rows = SQLConnection.rows

    def counted(self: SQLConnection, *args: Any) -> Any:
        found = rows(self, *args)
        read.append(len(found))
        return found

    monkeypatch.setattr(SQLConnection, "rows", counted)
    assert_identical(await storage.get_llm_executions("s"), executions)
    assert read == [8]
    await storage.list_llm_executions(QueryFilter(documents=False))
    await storage.count_llm_executions(QueryFilter({"input": None}))
    assert read == [8]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM messages WHERE rowid = 3", "is missing"),
        ("UPDATE messages SET body = '{}' WHERE rowid = 3", "its digest differs"),
        ("UPDATE messages SET previous = digest WHERE rowid = 3", "its digest differs"),
        ("UPDATE messages SET previous = NULL WHERE rowid = 3", "its digest differs"),
        ("UPDATE messages SET body = x'00' WHERE rowid = 3", "body"),
        ("UPDATE llm_executions SET input_digest = x'00' WHERE input_digest IS NOT NULL", "is missing"),
    ],
)
async def test_a_damaged_conversation_is_corrupt_data(
    storage: StorageAdapter, tmp_path: Path, damage: str, problem: str
):
    executions = await conversation(storage)
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute(damage)
    other.close()
    with pytest.raises(CorruptDataError, match=problem):
        await storage.get_llm_executions("s")
    assert len(await storage.list_llm_executions(QueryFilter(documents=False))) == len(executions)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(JSON_VALUES, min_size=1, max_size=5), st.lists(JSON_VALUES, max_size=5))
def test_two_lists_have_one_structure_if_and_only_if_their_texts_are_equal(one: list[Any], other: list[Any]):
    for each in (one, other):
        assert Structure(one).is_of(each) is (repr(one) == repr(each))
    grown = Structure(one)
    grown.add(other)
    assert grown.is_of([*one, *other])


def test_what_is_no_json_has_no_structure():
    class Text(str):
        __slots__ = ()

    kept = Structure([{"a": "b"}, ["c"]])
    for other in ([{"a": Text("b")}, ["c"]], [{Text("a"): "b"}, ["c"]], [{"a": "b"}, ("c",)], [{"a": "b"}]):
        assert not kept.is_of(other)


def test_what_is_remembered_is_bounded():
    known = KnownInputs(max_chars=15_000)
    for number in range(50):
        assert known.encode(f"{number}", "n", [message(each) for each in range(3)]) is not None
    assert len(known._conversations) == 1
    for number in range(50):
        known.encode(f"short {number}", "n", ["x"])
    assert len(known._conversations) <= 7
    assert known.encode("long", "n", [message(each) for each in range(10)]) is not None
    assert known._conversations == {}
    assert known._chars == 0


def test_the_text_of_json_has_no_separator():
    encoded = KnownInputs().encode("s", "n", [{"text": f"{SEPARATOR}\r\x00\u2028" * 200}, "x" * 1000])
    assert encoded is not None
    (row,) = encoded.rows_after(0)
    assert row.body.count(SEPARATOR) == 1


@pytest.mark.parametrize("text", ["", "x" * 255, "x" * 300, "\N{SNOWMAN}" * 300, "x" * 70_000, message(1)["content"]])
def test_a_compressed_text_is_restored(text: str):
    assert decompressed(compressed(text)) == text
    assert decompressed(compressed_bytes(text)) == text


def random_inputs(seed: int) -> list[Any]:
    """Inputs that grow, branch and are none."""
    draw = random.Random(seed)
    inputs: list[Any] = [None, {"text": "x" * 1000}, []]
    messages: list[Any] = []
    for number in range(30):
        if draw.random() < 0.3:
            messages = messages[: draw.randrange(len(messages) + 1)]
        messages = [*messages, message(number, draw.choice([10, 2000])), {"n": [number, 1.0, {"b": 1, "a": -0.0}]}]
        inputs.append(messages)
    return inputs


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(3))
async def test_inputs_are_kept_when_a_store_is_migrated_down_and_up_again(tmp_path: Path, seed: int):
    path = tmp_path / "store.db"
    async with create_adapter("sqlite", str(path)) as storage:
        await storage.create_session(Session(id="s", workflow_id=None, workflow_snapshot={}))
        executions = [await save(storage, each) for each in random_inputs(seed)]
    assert len(rows_in(path)) > 20
    connection = open_writer(Settings(Location(path), Synchronous.NORMAL, busy_timeout=5))
    migrate_store(connection, BEFORE, 5)
    (chars,) = connection.driver_connection.execute("SELECT sum(length(input)) FROM llm_executions").fetchone()
    assert chars > 100_000
    connection.close()
    async with create_adapter("sqlite", str(path)) as storage:
        assert_identical(await storage.get_llm_executions("s"), executions)
        executions.append(await save(storage, [*executions[-1].input, message(99)]))
        assert_identical(await storage.get_llm_executions("s"), executions)


@pytest.mark.asyncio
async def test_a_store_with_a_missing_message_is_not_migrated_down(tmp_path: Path):
    path = tmp_path / "store.db"
    async with create_adapter("sqlite", str(path)) as storage:
        await conversation(storage)
    connection = open_writer(Settings(Location(path), Synchronous.NORMAL, busy_timeout=5))
    connection.driver_connection.execute("DELETE FROM messages WHERE rowid = 3")
    with pytest.raises(CorruptDataError, match="is missing; nothing was migrated"):
        migrate_store(connection, BEFORE, 5)
    assert connection.driver_connection.execute("SELECT count(*) FROM messages").fetchone() == (7,)
    connection.close()
