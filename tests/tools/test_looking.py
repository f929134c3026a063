"""`list` and `show`."""

import io
import json
import sys
from decimal import Decimal

import pytest

from aaow_storage import BudgetPool, open_adapter
from aaow_storage_tools import view_budget
from aaow_storage_tools.command_line import main
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.tables import Columns, rounded, text_of
from aaow_storage_tools.command_line.trees import share_text

KINDS = {
    "workflow": 1,
    "session": 5,
    "execution_state": 4,
    "node_state": 12,
    "llm_execution": 8,
    "tool_call": 8,
    "budget_pool": 4,
    "approval_request": 4,
    "stream": 4,
    "stream_event": 8,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed(kind: str, run, store):
    done = run("list", kind, "--json")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    *records, result = done.lines
    assert [line["type"] for line in records] == [kind] * KINDS[kind]
    assert result == {"schema": 1, "type": "result", "count": KINDS[kind], "next": None}
    table = run("list", kind).out.splitlines()
    assert len(table) == KINDS[kind] + 1
    assert table[0].isupper()


@pytest.mark.parametrize(
    "name", ["sessions", "Session", "budgets", "approvals", "llm", "tool-calls", "nodes", "events"]
)
def test_kinds_have_short_names(name: str, run, store):
    assert run("list", name).code == ExitCode.DONE


def test_an_unknown_kind_is_a_usage_error(run, store):
    done = run("list", "foo")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "the kinds are workflow, " in done.err


def test_a_list_is_filtered_and_ordered(run, store):
    done = run("list", "session", "metadata.user=grace", "created_at<2026-01-01T15:00", "--order=created_at", "--json")
    assert [line["record"]["id"] for line in done.lines[:-1]] == ["session-0", "session-2"]
    assert [line["record"]["id"] for line in run("list", "session", "--json").lines[:1]] == ["session-4"]


def test_a_list_goes_on_after_a_cursor(run, store):
    found, after = [], []
    while True:
        *records, result = run("list", "llm", "--order=-cost,timestamp", "-n", "3", *after, "--json").lines
        found += [line["record"]["id"] for line in records]
        if result["next"] is None:
            break
        after = ["--after", result["next"]]
    assert len(found) == len(set(found)) == 8
    assert found[:4] == ["call-0-1", "call-1-1", "call-2-1", "call-4-1"]


def test_a_cut_list_says_how_to_go_on(run, store):
    done = run("list", "session", "-n", "2")
    assert len(done.out.splitlines()) == 3
    assert "go on with --after " in done.err
    assert run("list", "session", "-n", "2", "--quiet").err == ""
    assert len(run("list", "session", "-n", "2", "--all").out.splitlines()) == 6


def test_a_list_has_one_record_at_least(run, store):
    done = run("list", "session", "-n", "0")
    assert (done.code, done.out) == (ExitCode.USAGE, "")


def test_an_empty_list_is_no_error(run, store):
    done = run("list", "session", "metadata.user=nobody")
    assert (done.code, done.out, done.err) == (ExitCode.DONE, "", "No session matches.\n")
    assert run("list", "session", "metadata.user=nobody", "--json").lines == [
        {"schema": 1, "type": "result", "count": 0, "next": None}
    ]


def test_a_wrong_condition_is_a_usage_error(run, store):
    done = run("list", "session", "status=runing", "--json")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.error["error"] == "QueryError"


def test_amounts_and_times_are_strings(run, store):
    record = run("list", "llm", "id=call-0-1", "--json").lines[0]["record"]
    assert record["cost"] == "0.0125"
    assert record["timestamp"] == "2026-01-01T12:00:36Z"


def test_a_session_is_shown_as_a_tree_with_its_errors_first(run, store):
    text = run("show", "session", "session-1").out
    errors, _, tree = text.partition("session failed, 3 nodes")
    assert "node decide: the model refused [to] answer" in errors
    assert "tool call tool-1-1 of search: no such order" in errors
    lines = tree.splitlines()
    assert max(map(len, text.splitlines())) <= 120
    for part in (
        "read completed",
        "small ok: The order came broken.",
        "decide failed, 2 attempts",
        "attempt 1 failed: timeout",
        "large failed: the model refused [to] answer",
        "search failed: no such order",
        "human_review pending",
        "approval-1  human_review of the node pay",
    ):
        assert [line for line in lines if part in line], part
    (model_call,) = [line for line in lines if "large failed" in line]
    assert model_call.split()[-5:] == ["3.60", "s", "121", "0.0125", "USD"]


def test_a_session_tells_who_decided_and_its_children(run, store):
    text = run("show", "session", "session-0").out
    assert "Errors" not in text
    assert "human_review approved by grace: a good customer" in text
    assert "session-4  completed" in text


def test_a_session_without_anything_is_shown(run, store):
    assert "queued, 3 nodes" in run("show", "session", "session-3").out


def test_a_session_is_one_document(run, store):
    document = run("show", "session", "session-1", "--json").document
    assert (document["schema"], document["type"]) == (1, "session")
    assert document["session"]["id"] == "session-1"
    assert [each["id"] for each in document["llm_executions"]] == ["call-1-0", "call-1-1"]
    assert len(document["errors"]) == 3


def test_a_budget_is_shown_with_the_pools_around_it(run, store):
    lines = run("show", "budget", "team").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["Company", "team", "spent"]
    assert "###########...   85%  42.5   50  active" in lines[2]
    document = run("show", "budget", "company", "--json").document
    assert [(each["depth"], each["id"]) for each in document["pools"]] == [
        (0, "company"),
        (1, "team"),
        (2, "spent"),
        (1, "other"),
    ]
    assert document["pools"][1]["used_budget"] == "42.5"


@pytest.mark.parametrize(
    ("kind", "id"),
    [
        ("workflow", "refunds"),
        ("execution_state", "session-1"),
        ("node_state", "session-1/decide"),
        ("llm_execution", "call-1-1"),
        ("tool_call", "tool-1-1"),
        ("approval_request", "approval-1"),
        ("stream", "session-1/answer"),
        ("stream_event", "event-1-0"),
    ],
)
def test_other_records_are_shown_field_by_field(kind: str, id: str, run, store):
    assert id.rpartition("/")[2] in run("show", kind, id).out
    document = run("show", kind, id, "--json").document
    assert document["type"] == kind
    assert id.rpartition("/")[2] in json.dumps(document["record"])


def test_the_beginning_of_an_id_is_enough(run, store):
    assert run("show", "budget", "comp", "--json").document["pool_id"] == "company"
    done = run("show", "session", "session")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "session-0, session-1" in done.err


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_not_there_fails(kind: str, run, store):
    done = run("show", kind, "nope", "--json")
    assert (done.code, done.out, done.error["error"]) == (ExitCode.FAILED, "", "NotFoundError")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12.345678901", "12.3457"),
        ("999999.123456", "999999.12"),
        ("0.000012345", "0.000012"),
        ("0.5", "0.5"),
        ("1000", "1000"),
        ("0", "0"),
    ],
)
def test_amounts_are_rounded_for_people(amount: str, text: str):
    assert text_of(rounded(Decimal(amount))) == text


def test_a_pool_that_has_something_left_is_not_full():
    pool = BudgetPool(total_budget="1000000", used_budget="999999.99")
    assert share_text(pool) == "99%"


def test_a_list_fits_into_a_narrow_terminal():
    rows = [{"id": "a" * 36, "status": "running", "metadata": "b" * 100}]
    columns = Columns(rows)
    lines = [columns.header(60), *columns.lines(rows, 60)]
    assert max(line.cell_len for line in lines) == 60
    assert lines[1].plain.startswith("a" * 36)


class ClosedPipe(io.StringIO):
    """A reader that has gone after the first part, as `head` does."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "session", "--all"],
        ["list", "session", "--all", "--json"],
        ["tail", "--from-start"],
        ["tail", "--from-start", "--once", "--json"],
        ["show", "session", "session-1"],
    ],
    ids=" ".join,
)
def test_a_reader_that_goes_ends_a_command_without_an_error(
    arguments: list[str], store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pipe = ClosedPipe("x")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(arguments) == ExitCode.DONE
    assert capsys.readouterr().err == ""
    assert pipe.getvalue() == "x"


@pytest.mark.asyncio
async def test_of_a_pool_with_many_inside_no_more_are_read_than_asked_for():
    async with open_adapter("memory") as storage:
        await storage.create_budget_pool(BudgetPool(id="all", total_budget=9))
        for number in range(5):
            await storage.create_budget_pool(BudgetPool(id=f"{number}", parent_pool_id="all", total_budget=1))
        whole = await view_budget(storage, "all", max_pools=5)
        part = await view_budget(storage, "all", max_pools=3)
    assert (whole.is_complete, whole.pools[0].used_by_children, len(whole.pools)) == (True, 0, 6)
    assert (part.is_complete, part.pools[0].used_by_children, len(part.pools)) == (False, None, 4)
