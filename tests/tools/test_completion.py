"""Completion of commands, kinds, ids, profiles and statuses by a shell."""

import subprocess
from pathlib import Path

import pytest

from aaow_storage import SessionStatus
from aaow_storage_tools._looking.listing import LISTINGS
from aaow_storage_tools.command_line import completers
from aaow_storage_tools.command_line.catalogue import COMMANDS
from aaow_storage_tools.command_line.configuration import configuration_path
from aaow_storage_tools.command_line.exit_codes import ExitCode


@pytest.fixture
def offered(run):
    """Return a function that asks, as the script of a shell does, what could come next."""

    def offered(*words: str) -> dict[str, str]:
        done = run("__complete", *words)
        assert (done.code, done.err) == (ExitCode.DONE, "")
        _, begin, lines = done.out.partition("\x1fbegin\n")
        assert begin
        return dict((*line.split("\t"), "")[:2] for line in lines.splitlines())

    return offered


def test_the_kinds_and_statuses_are_those_that_there_are(offered):
    assert set(completers.KINDS) == set(LISTINGS)
    assert set(completers.STATUSES) == set(SessionStatus)
    assert set(offered("list", "")) == set(LISTINGS)
    assert set(offered("approve", "x", "--session-status", "")) == set(SessionStatus)


def test_ids_are_those_of_the_kind(offered, store):
    assert offered("show", "session", "")["session-1"] == "failed"
    assert set(offered("show", "budgets", "te")) == {"team"}
    assert offered("show", "llm", "call-1-1") == {
        "call-1-1": "large, failed, 3.60 s, 121 tokens, the model refused [to] answer"
    }
    assert set(offered("tail", "session-")) == {f"session-{number}" for number in range(5)}


def test_only_pending_requests_can_be_decided(offered, store):
    assert set(offered("approve", "")) == {"approval-1", "approval-2", "approval-4"}


def test_the_store_of_the_options_is_asked(offered, store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATABASE_URL")
    assert len(offered("show", "session", "--storage", f"file:{store}", "")) == 5


def test_a_store_that_is_not_there_offers_nothing(offered, tmp_path: Path):
    assert offered("show", "session", "--storage", f"file:{tmp_path}/missing.db", "") == {}
    assert list(tmp_path.iterdir()) == []


def test_profiles_are_offered_without_passwords(offered):
    path = configuration_path()
    path.parent.mkdir(parents=True)
    path.write_text("[profiles.server]\nstorage = 'postgresql://ada:geheim@db/agents'")
    assert offered("list", "session", "--profile", "") == {"server": "postgresql://ada:***@db/agents"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_completes_every_command(shell: str, run):
    done = run("completion", shell)
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert [command.name for command in COMMANDS if command.name.split()[-1] not in done.out] == []
    assert "__complete" in done.out
    assert run("completion", shell, "--json").document["script"].strip() == done.out.strip()


def test_bash_reads_its_script(run):
    subprocess.run(["bash", "-n"], input=run("completion", "bash").out, text=True, check=True)


def test_an_unknown_shell_is_a_usage_error(run):
    assert run("completion", "csh").code == ExitCode.USAGE
