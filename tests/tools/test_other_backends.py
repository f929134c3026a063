"""The commands on a backend of somebody else: it offers no maintenance, no change feed and no streams."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from plain_backend import Plugin

from aaow_storage import register_plugin, unregister_plugin
from aaow_storage_tools.command_line.exit_codes import ExitCode


@pytest.fixture
def plain(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Register the backend, and name the filled store by it."""
    plugin = Plugin()
    register_plugin(plugin)
    monkeypatch.setenv("DATABASE_URL", f"plain:{store}")
    yield f"plain:{store}"
    unregister_plugin(plugin)


def test_the_backend_is_listed(run, plain):
    (backend,) = [each for each in run("backends", "--json").document["backends"] if each["name"] == "plain"]
    assert (backend["distribution"], backend["capabilities"]) == (None, [])


def test_the_store_is_described_by_its_counts(run, plain):
    document = run("info", "--json").document
    counts = {each["kind"]: each["count"] for each in document["kinds"]}
    assert (counts["session"], counts["tool_call"]) == (5, 8)
    assert "stream_event" not in counts
    assert document["sizes"] is None
    assert run("info").code == ExitCode.DONE


@pytest.mark.parametrize("kind", ["session", "llm", "tool", "budget", "approval", "node", "state", "workflow"])
def test_lists_work(kind: str, run, plain):
    assert run("list", kind).out


def test_a_session_is_shown_without_streams(run, plain):
    text = run("show", "session", "session-1").out
    assert "the model refused [to] answer" in text
    assert "Streams" not in text


def test_decisions_and_sums_work(run, plain):
    assert run("approve", "approval-2", "--by", "ada").code == ExitCode.DONE
    assert run("reject", "approval-2", "--by", "ada").code == ExitCode.REFUSED
    assert run("expire").code == ExitCode.DONE
    assert run("stats").code == ExitCode.DONE


@pytest.mark.parametrize("arguments", [["tail", "--once"], ["list", "event"], ["list", "stream"]])
def test_what_the_backend_lacks_is_said(arguments: list[str], run, plain):
    done = run(words=arguments)
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "capability" in done.err or "offer" in done.err or "support" in done.err
    assert "Traceback" not in done.err
