"""What holds for every command of the command line."""

import ast
import inspect
import json
import logging
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import StorageError
from aaow_storage_tools.command_line import commands, configuration, program
from aaow_storage_tools.command_line.catalogue import COMMANDS, GROUPS, SECTIONS, Command
from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import OutputOptions, StoreOptions

FOLDER = Path(commands.__path__[0])
HEAVY = {"aaow_storage", "cyclopts", "rich", "asyncio", "attrs"}

every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name.replace(" ", "-"))


def function_of(command: Command) -> Any:
    module, _, name = command.function.partition(":")
    return getattr(import_module(module), name)


def opens_a_store(command: Command) -> bool:
    return inspect.signature(function_of(command)).parameters["options"].annotation is StoreOptions


ON_A_STORE = [command for command in COMMANDS if opens_a_store(command)]
every_command_on_a_store = pytest.mark.parametrize(
    "command", ON_A_STORE, ids=lambda command: command.name.replace(" ", "-")
)


def example_of(command: Command) -> list[str]:
    return [*command.name.split(), *command.example.split()]


def test_every_module_of_a_command_is_in_the_catalogue():
    listed = {command.function.partition(":")[0].rpartition(".")[2] for command in COMMANDS}
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == listed


def test_every_group_has_commands_and_every_section_is_known():
    assert {command.name.rpartition(" ")[0] for command in COMMANDS} - {""} == set(GROUPS)
    assert {command.section for command in COMMANDS} <= set(SECTIONS)


@every_command
def test_the_docstring_of_a_command_begins_with_its_summary(command: Command):
    documented = inspect.getdoc(function_of(command)) or ""
    assert " ".join(documented.partition("\n\n")[0].split()) == command.summary


@every_command
def test_the_options_of_all_commands_are_options_of_the_command(command: Command):
    parameters = inspect.signature(function_of(command)).parameters
    assert isinstance(parameters["options"].default, OutputOptions)
    assert "terminal" in parameters


@every_command
def test_a_module_of_a_command_imports_nothing_heavy(command: Command):
    path = Path(inspect.getsourcefile(function_of(command)) or "")
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        name.partition(".")[0]
        for node in tree.body
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported & (HEAVY - {"cyclopts"}) == set()


@every_command
def test_help_fits_into_80_columns_and_goes_to_stdout(command: Command, run):
    done = run(*command.name.split(), "--help")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert done.out.startswith(f"Usage: aaow-storage {command.name}")
    assert command.summary.split()[-1] in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "--json" in done.out


@every_command
def test_an_unknown_option_is_a_usage_error(command: Command, run):
    done = run(*example_of(command), "--no-such-option")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "--no-such-option" in done.err
    assert f"aaow-storage {command.name} --help" in done.err


@every_command
def test_an_unknown_option_is_one_document_on_stderr_with_json(command: Command, run):
    done = run(*example_of(command), "--no-such-option", "--json")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert (done.error["schema"], done.error["type"], done.error["exit_code"]) == (1, "error", 2)


@pytest.mark.parametrize("form", ["text", "json"])
@every_command_on_a_store
def test_a_missing_store_is_reported_and_not_made(command: Command, form: str, run, tmp_path: Path):
    missing = tmp_path / "missing.db"
    done = run(*example_of(command), "--storage", f"file:{missing}", words=["--json"] if form == "json" else [])
    assert (done.code, done.out) == (ExitCode.NOT_THERE, "")
    assert str(missing) in done.err
    assert list(tmp_path.iterdir()) == []
    if form == "json":
        assert done.error["exit_code"] == ExitCode.NOT_THERE


@every_command_on_a_store
def test_a_password_is_never_shown(command: Command, run):
    done = run(*example_of(command), "--storage", "postgresql://ada:geheim@127.0.0.1:1/agents")
    assert (done.code, done.out) == (ExitCode.NOT_THERE, "")
    assert done.err
    assert "geheim" not in done.err


THAT_DESTROY = [command for command in COMMANDS if "yes" in inspect.signature(function_of(command)).parameters]


@pytest.mark.parametrize("command", THAT_DESTROY, ids=lambda command: command.name.replace(" ", "-"))
def test_a_command_that_destroys_does_nothing_without_yes(
    command: Command, run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    before = [run("list", kind, "--all", "--json").out for kind in ("session", "llm", "approval", "event")]
    done = run(*example_of(command))
    assert done.code in set(ExitCode)
    assert before == [run("list", kind, "--all", "--json").out for kind in ("session", "llm", "approval", "event")]


def test_the_list_of_commands_fits_into_80_columns(run):
    done = run("--help")
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert max(map(len, done.out.splitlines())) <= 80
    assert [command.name for command in COMMANDS if command.name.partition(" ")[0] not in done.out] == []


def test_without_a_command_the_help_is_shown(run):
    assert run().out == run("--help").out


def test_an_unknown_command_is_a_usage_error(run):
    done = run("backend")
    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert 'Did you mean "backends"?' in done.err


def test_options_may_stand_before_the_command(run):
    assert run("--json", "--quiet", "backends").document == run("backends", "--json").document


def test_ctrl_c_is_told_and_has_its_own_exit_code(run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> ExitCode:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "_run", interrupted)
    done = run("backends")
    assert (done.code, done.out, done.err) == (ExitCode.INTERRUPTED, "", "aaow-storage: interrupted\n")


def test_an_unexpected_error_comes_with_its_traceback_and_without_passwords(run, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> ExitCode:
        raise RuntimeError("postgresql://ada:geheim@db/agents")

    monkeypatch.setattr(program, "_run", broken)
    done = run("backends")
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "Traceback" in done.err
    assert "geheim" not in done.err
    error = run("backends", "--json").error
    assert error["message"] == "postgresql://ada:***@db/agents"
    assert "Traceback" in error["traceback"]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch):
    """Let the command `config path` log a warning, and then fail if it is told to."""

    def warned(*, error: Exception | None = None) -> None:
        def configuration_path() -> Path:
            for _ in range(2):
                logging.getLogger("aaow_storage_sqlite").warning("postgresql://ada:geheim@db/a is slow")
            if error is not None:
                raise error
            return Path("there")

        monkeypatch.setattr(configuration, "configuration_path", configuration_path)

    return warned


def test_what_a_backend_logs_is_a_warning(run, warned):
    warned()
    done = run("config", "path")
    assert (done.code, done.out) == (ExitCode.DONE, "there\n")
    assert done.err == "warning: postgresql://ada:***@db/a is slow\n"
    done = run("config", "path", "--json")
    assert done.document["path"] == "there"
    assert (done.error["type"], done.error["message"]) == ("warning", "postgresql://ada:***@db/a is slow")


def test_a_failure_is_one_document_with_its_warnings(run, warned):
    warned(error=StorageError("it is gone"))
    done = run("config", "path", "--json")
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert (done.error["message"], done.error["warnings"]) == ("it is gone", ["postgresql://ada:***@db/a is slow"])


def test_help_and_version_import_little():
    code = (
        "import sys, io; from aaow_storage_tools.command_line import main\n"
        "assert main(['--version']) == 0\n"
        "assert not {'cyclopts', 'rich', 'attrs', 'aaow_storage'} & set(sys.modules), 'version'\n"
        "assert main(['--help']) == 0\n"
        "assert not [name for name in sys.modules if name.startswith('aaow_storage.')], 'help'\n"
        "assert [name for name in sys.modules if '.commands.' in name and 'aaow' in name] == [], 'commands'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_closed_pipe_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "aaow_storage_tools.command_line", "backends"],
        check=False,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (ExitCode.DONE, b"")


def test_a_locale_without_the_characters_is_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = subprocess.run(
        [sys.executable, "-m", "aaow_storage_tools.command_line", "nö", "--json"], check=False, capture_output=True
    )
    assert done.returncode == ExitCode.USAGE
    assert "nö" in json.loads(done.stderr.decode("ascii"))["message"]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch):
    """Make stdout and stderr of commands a terminal of 80 columns."""
    pty = pytest.importorskip("pty")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, b"\x18\x00\x50\x00\x00\x00\x00\x00")
    written = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                return
            if not part:
                return
            written.extend(part)

    thread = threading.Thread(target=read)
    thread.start()
    monkeypatch.setenv("TERM", "xterm-256color")

    def run(*arguments: str) -> list[str]:
        subprocess.run(
            [sys.executable, "-m", "aaow_storage_tools.command_line", *arguments],
            check=False,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        thread.join(10)
        os.close(ours)
        return written.decode().splitlines()

    return run


def test_a_terminal_has_colours_and_80_columns(columns):
    lines = columns("backends")
    assert "\x1b[1m" in lines[0]
    assert max(len(line) for line in lines[1:]) <= 80


def test_no_colours_if_they_are_not_wanted(columns, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not [line for line in columns("nope") if "\x1b[3" in line]
