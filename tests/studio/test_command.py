"""The command `aaow-storage studio`, as a process of its own."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from studio_serving import PATIENCE_S

import aaow_storage_tools.command_line.commands.studio as command
from aaow_storage import open_sync
from aaow_storage_tools.command_line import main


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"file:{tmp_path / 'store.db'}"
    with open_sync(url):
        return url


@contextmanager
def started(*words: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the command until the end of the block; yield its process and the address that it prints."""
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield running, running.stdout.readline().strip()
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize(
    "program", [["-m", "aaow_storage_tools.command_line", "studio"], ["-m", "aaow_storage_studio"]]
)
def test_it_prints_an_address_that_signs_one_browser_in_and_ends_at_ctrl_c(store: str, program: list[str]):
    with started(sys.executable, *program, "--storage", store) as (running, address):
        with httpx2.Client(follow_redirects=True) as browser:
            assert browser.get(address).status_code == 200
            assert browser.get(address.partition("/?")[0] + "/sessions").status_code == 200
        assert httpx2.get(address, follow_redirects=True).status_code == 401
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE_S)
        assert (running.returncode, out, err) == (0, "", "")


def test_with_json_the_address_is_a_line_of_json(store: str):
    with started(sys.executable, "-m", "aaow_storage_studio", "--storage", store, "--json") as (_, line):
        assert json.loads(line)["type"] == "address"
        assert "token=" in json.loads(line)["url"]


def test_an_address_for_other_machines_needs_a_token(store: str, capsys: pytest.CaptureFixture[str]):
    assert main(["studio", "--storage", store, "--host", "0.0.0.0"]) == 2
    assert "--token" in capsys.readouterr().err


def test_decisions_need_a_name(store: str, capsys: pytest.CaptureFixture[str]):
    assert main(["studio", "--storage", store, "--allow-decisions"]) == 2
    assert "decides_as" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(store: str, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["studio", "--storage", store, "--port", str(taken.getsockname()[1])]) == 2
    assert "another --port" in capsys.readouterr().err


def test_without_the_studio_the_command_says_what_to_install(
    store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(Exception, match="pip install aaow-storage-studio"):
        command._installed_studio()


def test_a_status_that_sessions_do_not_have_is_refused(store: str, capsys: pytest.CaptureFixture[str]):
    words = ["--allow-decisions", "--as", "ada", "--approved-status", "happy"]
    assert main(["studio", "--storage", store, *words]) == 2
    assert "happy" in capsys.readouterr().err
