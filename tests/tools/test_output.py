"""What is written: backends and the broken ones, JSON, ages and durations."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from rich.console import Console

import aaow_storage
from aaow_storage import (
    ApprovalRequest,
    Backend,
    BudgetPool,
    LLMExecutionResult,
    Session,
    SessionStatus,
    available_backends,
    create_adapter,
    open_adapter,
)
from aaow_storage_tools import view_budget, view_session
from aaow_storage_tools.command_line.columns import age_text, duration_text
from aaow_storage_tools.command_line.documents import document_text
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.tables import printable, size_text, text_of
from aaow_storage_tools.command_line.trees import budget_tree, session_tree


def test_the_installed_backends_are_listed(run):
    done = run("backends", "--json")
    assert done.code == ExitCode.DONE
    found = {each["name"]: each for each in done.document["backends"]}
    assert found["sqlite"]["distribution"] == "aaow-storage-sqlite"
    assert found["sqlite"]["capabilities"] == ["changes", "durable", "stream_events", "writers_wait"]
    assert (found["sqlite"]["contract"], found["sqlite"]["problem"]) == ("1.1", None)


def test_a_broken_backend_is_listed_with_the_reason(run, monkeypatch: pytest.MonkeyPatch):
    problem = "its plugin cannot be imported: ImportError: no driver"
    broken = Backend(name="acme", summary="cannot be used", create=create_adapter, problem=problem)
    monkeypatch.setattr(aaow_storage, "available_backends", lambda: {**available_backends(), "acme": broken})
    done = run("backends")
    assert done.code == ExitCode.FAILED
    assert done.out.splitlines()[-1] == f"acme: {problem}"
    document = run("backends", "--json").document
    assert [each["problem"] for each in document["backends"] if each["name"] == "acme"] == [problem]


def test_values_in_json_are_strings_or_plain():
    values = {
        "amount": Decimal("1E+3"),
        "at": datetime(2026, 1, 1, 13, tzinfo=UTC) + timedelta(microseconds=5),
        "status": SessionStatus.RUNNING,
        "names": frozenset({"b", "a"}),
        "path": Path("a/b"),
    }
    assert json.loads(document_text(values)) == {
        "schema": 1,
        "amount": "1000",
        "at": "2026-01-01T13:00:00.000005Z",
        "status": "running",
        "names": ["a", "b"],
        "path": "a/b",
    }
    with pytest.raises(TypeError, match="object has no form in JSON"):
        document_text({"value": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        document_text({"value": float("nan")})


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=5), "5s"),
        (timedelta(minutes=5, seconds=2), "5m"),
        (timedelta(hours=30), "1d"),
        (timedelta(minutes=-90), "in 1h"),
    ],
)
def test_an_age_is_rough(ago: timedelta, text: str):
    assert age_text(datetime.now(UTC) - ago) == text
    assert age_text(None) == ""


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(microseconds=12_400), "12 ms"),
        (timedelta(seconds=3.419), "3.42 s"),
        (timedelta(seconds=119.7), "2 min 0 s"),
        (timedelta(hours=3, minutes=4), "3 h 4 min"),
        (timedelta(days=2, hours=1), "2 d 1 h"),
    ],
)
def test_a_duration_has_the_unit_that_fits(duration: timedelta, text: str):
    assert duration_text(duration) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 * 2**40, "5.0 TiB")]
)
def test_a_size_has_the_unit_that_fits(size: int, text: str):
    assert size_text(size) == text


def test_a_stored_text_cannot_drive_the_terminal():
    assert printable("a\x1b[31mb\x07\nc") == "a\ufffd[31mb\ufffd\nc"
    assert text_of("\x1b]0;title\x07") == "\ufffd]0;title\ufffd"


def test_long_json_has_several_lines():
    assert text_of({"a": 1}) == '{"a": 1}'
    assert text_of({"a": "b" * 60}).splitlines() == ["{", f'  "a": "{"b" * 60}"', "}"]
    assert text_of([True, None, 3]) == "yes, , 3"


@pytest.mark.asyncio
async def test_ids_and_texts_of_a_session_cannot_drive_the_terminal(tmp_path: Path):
    evil = "a\x1b[31m"
    async with open_adapter(f"file:{tmp_path}/a.db") as storage:
        session = Session(id=evil, workflow_id=None, workflow_snapshot={"nodes": [{"id": evil}]}, metadata={evil: evil})
        await storage.create_session(session)
        await storage.create_session(evolve(session, id="child", parent_session_id=evil))
        await storage.save_llm_execution(evil, evil, LLMExecutionResult(success=False, error=evil, model=evil))
        await storage.create_approval_request(ApprovalRequest(session_id=evil, node_id=evil, type="tool_call"))
        await storage.create_budget_pool(BudgetPool(id=evil, total_budget=1, metadata={"name": evil}))
        view = await view_session(storage, evil)
        budget = await view_budget(storage, evil)
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80)
    console.print(session_tree(view))
    console.print(budget_tree(budget))
    assert "\x1b[31m" not in console.file.getvalue()
    assert console.file.getvalue().count("\ufffd[31m") >= 8
