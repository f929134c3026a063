"""The program `aaow-storage`: it runs the command that its arguments name, and turns errors into exit codes."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aaow_storage_tools.command_line.exit_codes import ExitCode, exit_code_of

if TYPE_CHECKING:
    from cyclopts import CycloptsError

    from aaow_storage_tools.command_line.terminal import Terminal

LEADING = {"--json": 0, "--quiet": 0, "-q": 0, "--storage": 1, "-s": 1, "--profile": 1}
"""The options that may stand before the command as well, and how many arguments follow each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code; the arguments are those of the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run_safely(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head` has; nothing more can be written, neither now nor when Python ends.
        _drop_stdout()
        return ExitCode.DONE
    return code


def _run_safely(words: list[str]) -> ExitCode:
    if words[:1] == ["--version"]:
        from importlib.metadata import version

        sys.stdout.write(f"aaow-storage {version('aaow-storage-tools')}\n")
        return ExitCode.DONE
    for file in (sys.stdout, sys.stderr):
        if hasattr(file, "reconfigure"):
            file.reconfigure(errors="backslashreplace")  # a locale without the character is no reason to fail
    from aaow_storage_tools.command_line.terminal import Terminal

    terminal = Terminal(is_json="--json" in words, is_quiet=not {"--quiet", "-q"}.isdisjoint(words))
    try:
        code = _run(terminal, words)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return _fail(terminal, ExitCode.INTERRUPTED, "Interrupted", "interrupted")
    except Exception as error:  # noqa: BLE001 - every error becomes a message and an exit code
        return _explain(terminal, error)
    terminal.start_writing()
    return code


def _run(terminal: "Terminal", words: list[str]) -> ExitCode:
    """Run a command.

    Raises:
        Exception: what the command raises.
    """
    import inspect

    from cyclopts import CycloptsError

    from aaow_storage_tools.command_line.application import make_application

    words = _behind_the_command(words)
    application = make_application(words)
    try:
        function, bound, injected = application.parse_args(words, console=terminal.help_console())
    except CycloptsError as error:
        return _refuse(terminal, error)
    if "terminal" in injected:
        bound.arguments["terminal"] = terminal
    elif terminal.is_json:
        terminal.is_json = False  # `--help`, which is for people
    with _warnings_on(terminal):
        result = function(*bound.args, **bound.kwargs)
        if inspect.iscoroutine(result):
            import asyncio

            result = asyncio.run(result)
    return ExitCode.DONE if result is None else ExitCode(result)


@contextmanager
def _warnings_on(terminal: "Terminal") -> "Iterator[None]":
    """Show what backends log as warnings inside the block, each once."""
    import logging

    seen: set[str] = set()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            from aaow_storage.authoring import redacted_text

            message = redacted_text(record.getMessage())
            if message not in seen:
                seen.add(message)
                terminal.warn(message)

    handler = Handler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _behind_the_command(words: list[str]) -> list[str]:
    """Return the arguments with the options that stand before the command moved to the end."""
    place = 0
    while place < len(words) and words[place].partition("=")[0] in LEADING:
        place += 1 if "=" in words[place] else 1 + LEADING[words[place]]
    if not words[place:]:
        return words
    options, rest = words[:place], words[place:]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *options, *rest[end:]]


def _refuse(terminal: "Terminal", error: "CycloptsError") -> ExitCode:
    command = " ".join(["aaow-storage", *(error.command_chain or ())])
    message = f"{str(error).strip()}\nTry `{command} --help`."
    return _fail(terminal, ExitCode.USAGE, "UsageError", message)


def _explain(terminal: "Terminal", error: Exception) -> ExitCode:
    """Say why a command failed, without passwords; an error that nobody expected comes with its traceback."""
    import traceback

    from aaow_storage import StorageError
    from aaow_storage.authoring import redacted_text
    from aaow_storage_tools.command_line.usage_error import UsageError

    name, message = type(error).__name__, redacted_text("\n".join([str(error), *getattr(error, "__notes__", ())]))
    if isinstance(error, UsageError):
        return _fail(terminal, error.exit_code, name, message)
    if isinstance(error, StorageError):
        current = getattr(error, "current", None)
        details = {"current": current} if hasattr(current, "to_dict") else {}
        return _fail(terminal, exit_code_of(error), name, message, details)
    if isinstance(error, OSError):
        return _fail(terminal, ExitCode.FAILED, name, message)
    trace = redacted_text("".join(traceback.format_exception(error)))
    return _fail(terminal, ExitCode.FAILED, name, message, {"traceback": trace})


def _fail(
    terminal: "Terminal", code: ExitCode, name: str, message: str, details: Mapping[str, object] | None = None
) -> ExitCode:
    details = details or {}
    text = f"aaow-storage: {message}"
    if "traceback" in details:
        text = f"{details['traceback']}aaow-storage: an unexpected error: {message}"
    terminal.fail(text, {"type": "error", "error": name, "message": message, "exit_code": int(code), **details})
    return code


def _drop_stdout() -> None:
    """Point stdout at nothing, so that Python does not fail when it flushes it at its end."""
    try:
        target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, sys.stdout.fileno())
        os.close(target)
    except (OSError, ValueError):
        pass
