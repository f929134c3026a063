"""Documents of all sorts: those that are refused leave no trace, and all others run."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from rich.cells import cell_len

from aaow_storage import NodeExecutionState, create_adapter

Run = Callable[..., CompletedProcess[str]]
Write = Callable[..., Path]

pytestmark = pytest.mark.slow  # each document is a process or two; the other tests run the quickstart on each Python


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", ", line 1, column 1: the file is empty"),
        (b'{"a":\n  [1,\n   2,,3]}', ", line 3, column 6: not JSON: Expecting value"),
        (b'{"a": 1}\n{"b": 2}', ", line 2, column 1: not JSON: Extra data"),
        (b'{"a":\n "\xc3\xa4\xe4"}', ", line 2, column 4: not UTF-8: "),
        (b"\xff\xfe{\x00}\x00", ", line 1, column 1: not UTF-8: "),
        (b'{"a": [NaN]}', ": definition.a[0]: nan is not JSON"),
        (b'{"a": "\\ud800"}', ": definition.a: a lone surrogate"),
        (b'{"a": 99999999999999999999}', ": definition.a: an integer must be"),
        (b'{"a": %s}' % (b"9" * 5000), ": an integer has too many digits"),
        (b"[" * 300 + b"]" * 300, ": definition.document[0]"),
        (b"[" * 100_000 + b"]" * 100_000, ": lists and objects are nested too deep"),
    ],
)
def test_a_file_that_is_no_definition_is_refused_where_it_is_wrong(
    run: Run, write: Write, url: str, content: bytes, complaint: str
):
    path = write(content)
    result = run(path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {path}{complaint}")
    assert result.stderr.count("\n") == 1
    assert not Path(url).exists()


@pytest.mark.parametrize(("name", "complaint"), [("missing.json", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_refused_by_name(run: Run, url: str, name: str, complaint: str):
    result = run(name)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {name}: {complaint}")
    assert result.stderr.count("\n") == 1
    assert not Path(url).exists()


def test_a_refused_file_leaves_the_store_as_it_was(run: Run, write: Write, url: str):
    run("--url", url)
    before = Path(url).read_bytes()
    assert run(write(b"{")).returncode == 2
    assert Path(url).read_bytes() == before


@pytest.mark.asyncio
@pytest.mark.parametrize("document", [[1, {"a": 2}], "text", 1.5, None, True])
async def test_a_document_that_is_no_object_is_wrapped_in_one(run: Run, write: Write, url: str, document: Any):
    result = run(write(document))
    assert (result.returncode, result.stderr) == (0, "")
    assert "stored in one, under the key 'document'" in " ".join(result.stdout.split())
    async with create_adapter("sqlite", url) as storage:
        (session,) = await storage.list_sessions()
    assert session.workflow_snapshot == {"document": document}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"nodes": []},
        {"nodes": None, "edges": {}, "connections": [1], "budget": []},
        {"nodes": [None, 1, "two", [], {}, {"id": {}}, {"name": ""}, {"tools": "x"}], "edges": [1, {}, {"from": []}]},
        {"id": "\x00\n", "name": ["x"], "version": 2.0, "nodes": {"": {}, " ": {"type": "llm", "tools": [None, ""]}}},
        {"budget": {"limit": "NaN", "pools": {"llm steps": -1, "": "x", "tool steps": "1e400"}}},
        {"budget": {"limit": "0.001", "pools": {"llm steps": 0.001}}, "nodes": [{"type": "llm"}, {"type": "llm"}]},
        {"nodes": [{"id": "x" * 1000, "name": "n" * 1000, "type": "llm"}] * 3},
        {"nodes": [{"id": "a", "name": "[red]a[/red] [/b] \x1b[31m", "type": "llm"}], "input": ["[/]"]},
    ],
)
def test_a_document_of_any_shape_runs(run: Run, write: Write, document: dict[str, Any]):
    result = run(write(document))
    assert (result.returncode, result.stderr) == (0, "")
    assert "session 1 of this workflow" in result.stdout
    assert "\x1b" not in result.stdout


def test_the_steps_that_a_document_lacks_are_added_and_marked(run: Run, write: Write):
    output = run(write({"nodes": {"think": {"type": "llm"}, "look": {"type": "tool"}}})).stdout
    (answer, look, review) = (_line_with(output, name) for name in ("think", "look", "Review by a human"))
    assert "*" not in answer + look
    assert "Review by a human*" in review
    assert "* not in the document" in output


@pytest.mark.asyncio
async def test_steps_run_in_the_order_of_their_connections_and_cycles_end(run: Run, write: Write, url: str):
    names = ["last", "loop", "again", "start"]
    connections = {
        "start": {"main": [[{"node": "loop", "type": "main", "index": 0}]]},
        "loop": {"main": [[{"node": "again"}], None, [{"node": "last"}]]},
        "again": {"main": [[{"node": "loop"}, {"node": "gone"}]]},
    }
    nodes = [{"id": f"id of {name}", "name": name, "type": "n8n-nodes-base.set"} for name in names]
    nodes.append({"name": "Read me", "type": "n8n-nodes-base.stickyNote"})
    assert run(write({"nodes": nodes, "connections": connections})).returncode == 0
    started = [state.node_id for state in await _states(url) if not state.node_id.startswith("quickstart:")]
    assert started[:2] == ["id of start", "id of loop"]
    assert sorted(started) == sorted(f"id of {name}" for name in names)


def test_many_steps_are_shown_in_few_lines(run: Run, write: Write):
    kinds = ("llm", "transform", "tool", "stream")
    nodes = [{"id": f"step {number}", "type": kinds[number % 4]} for number in range(200)]
    output = run(write({"nodes": nodes})).stdout
    assert "200 more" not in output
    assert "201 steps" in output
    assert " more, completed: " in output
    assert "step 0 " in output
    assert "step 199 " in output
    assert output.count("\n") < 140


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal(run: Run, write: Write, columns: int):
    names = ["Angie, AI Assistant 👩🏻\u200d🏫", "漢字" * 40, "a word " * 30, "x" * 200]
    nodes = [{"name": name, "type": kind} for name in names for kind in ("llm", "tool", "review", "stream")]
    output = run(write({"nodes": nodes}), columns=columns).stdout
    assert max(cell_len(line) for line in output.splitlines()) <= columns


async def _states(url: str) -> list[NodeExecutionState]:
    async with create_adapter("sqlite", url) as storage:
        (session,) = await storage.list_sessions()
        state = await storage.get_execution_state(session.id)
    return sorted(state.node_states.values(), key=lambda node: node.started_at)


def _line_with(output: str, name: str) -> str:
    return next(line for line in output.splitlines() if "├" in line and name in line)
