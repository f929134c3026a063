"""`erase` and `verify_receipt`: nothing of what was erased is found again, and a receipt says so or is refused."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from whole_sessions import WHOLE, add, left

from aaow_storage import (
    ConflictError,
    DelegatingAdapter,
    LLMExecutionResult,
    NodeExecutionState,
    Session,
    StorageAdapter,
    StorageUnavailableError,
    StreamEvent,
    ToolCallLog,
    ValidationError,
    WorkflowExecutionState,
    create_adapter,
    maintenance_of,
    now,
)
from aaow_storage_tools import (
    InvalidReceiptError,
    Receipt,
    ResumableError,
    check_store,
    erase,
    read_receipt,
    verify_receipt,
)

ADA = {"metadata.user": "ada"}
SECRET = "the-secret-of-ada"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'store.db'}"


@pytest_asyncio.fixture(params=["sqlite", "memory"])
async def storage(request: pytest.FixtureRequest, url: str) -> AsyncIterator[StorageAdapter]:
    async with create_adapter(url if request.param == "sqlite" else "memory") as storage:
        for user in ("ada", "grace"):
            await add(storage, f"{user} 1", whole=True, metadata={"user": user})
            await add(storage, f"{user} 2", whole=True, metadata={"user": user, "hold": True}, status="running")
            await add(storage, f"{user}'s child", whole=True, parent_session_id=f"{user} 1")
        yield storage


@pytest.mark.asyncio
async def test_the_sessions_that_match_go_with_their_children_and_all_that_belongs_to_them(storage: StorageAdapter):
    dry = await erase(storage, ADA, dry_run=True)
    assert len(await left(storage)) == 6
    receipt = await erase(storage, ADA)
    assert await left(storage) == {"grace 1", "grace 2", "grace's child"}
    assert receipt.counts == dry.counts == {kind: 3 * count for kind, count in WHOLE.items()}
    assert (dry.is_done, receipt.is_done) == (False, True)
    assert receipt.ids["tool_call"] == dry.ids["tool_call"]
    assert await verify_receipt(storage, receipt, where=ADA) == []
    assert (await check_store(storage)).findings == ()


@pytest.mark.asyncio
async def test_the_receipt_is_checked_against_every_kind_of_record(storage: StorageAdapter):
    receipt = await erase(storage, ADA)
    await add(storage, "ada 1", whole=True)
    found = {(each.kind, each.id) for each in await verify_receipt(storage, receipt)}
    assert found == {
        ("session", "ada 1"),
        ("execution_state", "ada 1"),
        ("llm_execution", "ada 1/e"),
        ("tool_call", "ada 1/t"),
        ("tool_call", "ada 1/u"),
        ("approval_request", "ada 1/a"),
        ("stream_event", "ada 1/v"),
    }


@pytest.mark.asyncio
async def test_a_child_and_a_session_that_match_from_before_are_found(storage: StorageAdapter):
    receipt = await erase(storage, ADA)
    await add(storage, "again", metadata={"user": "ada"})
    assert [each.id for each in await verify_receipt(storage, receipt, where=ADA)] == ["again"]
    late = Session(workflow_id=None, workflow_snapshot={}, metadata={"user": "ada"})
    await storage.delete_session("again")
    await storage.create_session(late)  # which came after the erasure
    assert await verify_receipt(storage, receipt, where=ADA) == []


@pytest.mark.asyncio
async def test_a_condition_that_would_erase_everything_is_refused(storage: StorageAdapter):
    with pytest.raises(ValidationError, match="everything"):
        await erase(storage, {})
    assert len(await left(storage)) == 6


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def tell_a_secret(storage: StorageAdapter) -> None:
    """Store a session whose every text is a secret, in values that are large and small, and change them."""
    long = f"{SECRET} " * 2_000
    of = {"workflow_id": None, "workflow_snapshot": {SECRET: long}, "metadata": {"user": "ada", "note": SECRET}}
    await storage.create_session(Session(id="s", **of))
    node = NodeExecutionState(node_id="n", status="completed", input=SECRET, output={"text": long})
    await storage.save_execution_state(
        WorkflowExecutionState(session_id="s", status="running", node_states={"n": node})
    )
    messages = []
    for number in range(5):
        messages.append({"role": "user", "content": f"{number} {SECRET} {number * 7919}"})
        result = LLMExecutionResult(id=f"e{number}", input=list(messages), text=SECRET, output=long, success=True)
        await storage.save_llm_execution("s", "n", result)
        call = {"tool_call_id": "c", "tool_name": SECRET, "args": {"q": SECRET}}
        await storage.log_tool_call(ToolCallLog(execution_id=result.id, **call))
    await storage.save_stream_event(StreamEvent(stream_id="x", node_id="n", data=SECRET, session_id="s"))
    await storage.update_session("s", metadata={"user": "ada", "note": f"{SECRET} again"})


@pytest.mark.asyncio
async def test_no_file_of_the_store_and_no_later_backup_shows_what_was_erased(url: str, tmp_path: Path):
    maintenance = maintenance_of(url)
    backup = tmp_path / "later.backup"
    async with create_adapter(url) as storage:
        await add(storage, "kept", whole=True)
        await tell_a_secret(storage)
        assert any(SECRET.encode() in data for data in files_of(tmp_path).values())
        receipt = await erase(storage, ADA, maintenance=maintenance, receipt_file=tmp_path / "receipt.json")
        assert [name for name, data in files_of(tmp_path).items() if SECRET.encode() in data] == []
        await maintenance.backup(backup)
    assert [name for name, data in files_of(tmp_path).items() if SECRET.encode() in data] == []
    restored = f"file:{tmp_path / 'restored.db'}"
    await maintenance_of(restored).restore(backup)
    async with create_adapter(restored) as storage:
        assert await verify_receipt(storage, receipt, where=ADA) == []
        assert await left(storage) == {"kept"}


@pytest.mark.asyncio
async def test_without_maintenance_the_receipt_says_that_files_may_still_show_it(storage: StorageAdapter):
    receipt = await erase(storage, ADA)
    assert any("not given back" in note for note in receipt.notes)


@pytest.mark.asyncio
async def test_the_change_feed_names_the_ids_until_it_is_forgotten(storage: StorageAdapter):
    receipt = await erase(storage, ADA)
    assert any("change feed" in note for note in receipt.notes)
    await add(storage, "more", metadata={"user": "ada"})
    receipt = await erase(storage, ADA, forget_changes=True)
    assert not any("change feed" in note for note in receipt.notes)
    assert await storage.get_changes() == []


class _Killed(BaseException):
    """The process ends."""


@pytest.mark.asyncio
@pytest.mark.parametrize("at", range(3))
async def test_an_erasure_that_is_killed_is_gone_on_with_and_nothing_is_missing_in_the_receipt(
    at: int, storage: StorageAdapter, tmp_path: Path
):
    class Killing(DelegatingAdapter):
        async def begin_transaction(self, timeout: float = 30.0) -> Any:  # noqa: ASYNC109 - as in the interface
            nonlocal at
            if not at:
                raise _Killed
            at -= 1
            return await super().begin_transaction(timeout)

    file = tmp_path / "receipt.json"
    try:
        await erase(Killing(storage), ADA, receipt_file=file)
    except _Killed:
        assert not file.exists()
        begun = tmp_path / "receipt.json.begun"
        begun.write_bytes(begun.read_bytes() + b'{"ids": {"session": ["cut of')
    receipt = await erase(storage, ADA, receipt_file=file)
    assert receipt.counts == {kind: 3 * count for kind, count in WHOLE.items()}
    assert read_receipt(file) == receipt
    assert not (tmp_path / "receipt.json.begun").exists()
    assert await verify_receipt(storage, receipt) == []


@pytest.mark.asyncio
async def test_an_outage_says_that_the_same_call_goes_on(storage: StorageAdapter, tmp_path: Path):
    class Leaving(DelegatingAdapter):
        transactions = 0

        async def begin_transaction(self, timeout: float = 30.0) -> Any:  # noqa: ASYNC109 - as in the interface
            self.transactions += 1
            if self.transactions == 2:
                raise StorageUnavailableError("the server is gone")
            return await super().begin_transaction(timeout)

    with pytest.raises(ResumableError, match="the server is gone; run it again"):
        await erase(Leaving(storage), ADA, receipt_file=tmp_path / "receipt.json")
    receipt = await erase(storage, ADA, receipt_file=tmp_path / "receipt.json")
    assert receipt.counts["session"] == 3


@pytest.mark.asyncio
async def test_a_receipt_is_never_replaced_and_a_begun_one_not_mixed_with_another(
    storage: StorageAdapter, tmp_path: Path
):
    file = tmp_path / "receipt.json"
    file.with_name("receipt.json.begun").write_text(
        json.dumps({"request": ["another"], "begun_at": "2026-01-01T00:00:00+00:00"}) + "\n"
    )
    with pytest.raises(ConflictError, match="another"):
        await erase(storage, ADA, receipt_file=file)
    file.with_name("receipt.json.begun").unlink()
    await erase(storage, ADA, receipt_file=file)
    with pytest.raises(ConflictError, match="there already"):
        await erase(storage, {"metadata.user": "grace"}, receipt_file=file)
    assert len(await left(storage)) == 3


@pytest.mark.asyncio
async def test_a_receipt_that_was_changed_is_refused(storage: StorageAdapter, tmp_path: Path):
    file = tmp_path / "receipt.json"
    receipt = await erase(storage, ADA, request=["metadata.user=ada"], receipt_file=file)
    assert read_receipt(file) == receipt
    content = json.loads(file.read_text("utf-8"))
    assert content["counts"] == receipt.counts
    assert content["request"] == ["metadata.user=ada"]
    changed = {**content, "ids": {**content["ids"], "session": ["ada 1"]}}
    for text, problem in (
        (json.dumps(changed), "digest"),
        (json.dumps({**content, "notes": []}), "digest"),
        (json.dumps({**content, "schema": 2}), "later release"),
        (json.dumps({"format": "letter"}), "no receipt"),
        (json.dumps({key: value for key, value in content.items() if key != "ids"}), "missing"),
        (file.read_text("utf-8")[:-40], "cannot be read"),
    ):
        file.write_text(text, "utf-8")
        with pytest.raises(InvalidReceiptError, match=problem):
            read_receipt(file)


@pytest.mark.asyncio
async def test_nothing_of_the_erased_is_in_the_tables_of_sqlite(url: str):
    async with create_adapter(url) as storage:
        await tell_a_secret(storage)
        await erase(storage, ADA, maintenance=maintenance_of(url))
    with closing(sqlite3.connect(url.removeprefix("file:"))) as connection:
        for table in ("documents", "messages", "llm_executions", "tool_call_logs", "stream_events", "sessions"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_receipt_counts_each_id_once():
    receipt = Receipt(request=["a=1"], begun_at=now(), ids={"session": ["b", "a", "b"]})
    assert receipt.ids == {"session": ("a", "b")}
    assert receipt.counts == {"session": 2}
