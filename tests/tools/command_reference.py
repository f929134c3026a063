"""Makes the reference page of the command line out of the commands: `python tests/tools/command_reference.py`."""

import ast
import io
import itertools
import os
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from aaow_storage_tools._looking import query_language
from aaow_storage_tools.command_line import exit_codes, main
from aaow_storage_tools.command_line.catalogue import COMMANDS, GROUPS, SECTIONS, Command

PAGE = Path(__file__).parents[2] / "packages/aaow-storage/docs/command-line.md"

INTRODUCTION = """\
# Command line

`aaow-storage` looks into a store, decides, moves, backs up and keeps it in order. It works with every backend that is
installed. The [operator's guide](operators-guide.md) shows it at work; this page is made from the commands.

```sh
pip install "aaow-storage[cli]" aaow-storage-sqlite
```

## Which store

A command takes its store from the first of these that is there; `aaow-storage config show` says which one it is:

1. `--storage NAME_OR_URL`: the name of a backend, a URL as `open_adapter` takes it, a path of SQLite, or `@PROFILE`;
   or `--profile NAME`
2. the environment variable `DATABASE_URL`
3. the default profile of the configuration file, `~/.config/aaow-storage/config.toml` or below `XDG_CONFIG_HOME`
4. `file:./aaow.db`

```toml
profile = "production"                # the default

[profiles.production]
storage = "postgresql://app@db/agents"
options = { pool_size = 5 }           # of the backend
```

No command makes a store by opening it, but for the targets of `copy`, `import` and `restore`; none changes the schema,
but for `migrate upgrade`.

## What is written

Data goes to stdout, all else to stderr. If a command fails, stdout stays empty. On a terminal, tables fit into its
width, ages stand in place of times, and there are colours, unless `NO_COLOR` is set; in a pipe, nothing is cut off.
A reader that closes the pipe is no error. Passwords are shown as `***`.

With `--json`, a command writes one JSON document; lists and long jobs write JSON Lines, and the last one has the type
`result`. Each has the number of the `schema`, which is 1, and a `type`. Ids, amounts and times are strings. An error is
one document on stderr, with `error`, `message` and `exit_code`, and with the `warnings` before it. If nothing fails,
each warning is a line on stderr, and so is the progress of a long job every ten seconds.

A command that deletes something only says what it would do, unless `--yes` is given.
"""


def page() -> str:
    """Return the page."""
    lines = "\n".join(_parts()).splitlines()
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _parts() -> Iterator[str]:
    yield INTRODUCTION
    yield "\n## Exit codes\n"
    yield "| code | name | what happened |\n| --- | --- | --- |"
    yield from (f"| {code} | `{name}` | {text} |" for code, name, text in _codes())
    yield "\n## Queries\n"
    yield _without_title(query_language.__doc__ or "")
    for section in SECTIONS:
        commands = [command for command in COMMANDS if command.section == section]
        if not commands:
            continue
        yield f"\n## {section}"
        for command in commands:
            yield from _command(command)


def _command(command: Command) -> Iterator[str]:
    group = command.name.rpartition(" ")[0]
    if group and next(each for each in COMMANDS if each.name.startswith(f"{group} ")) is command:
        yield f"\n### {group}\n\n{GROUPS[group][0]}"
    yield f"\n{'####' if group else '###'} {command.name}\n"
    yield f"```text\n{help_of(command)}```"
    if command.example:
        yield f"\n```sh\naaow-storage {command.name} {quoted(command.example)}\n```"


def help_of(command: Command) -> str:
    """Return the page of help of a command, 80 columns wide."""
    with redirect_stdout(io.StringIO()) as out:
        main([*command.name.split(), "--help"])
    return out.getvalue()


def quoted(example: str) -> str:
    """Return the arguments of an example as a shell needs them."""
    return " ".join(map(shlex.quote, example.split()))


def _codes() -> Iterator[tuple[int, str, str]]:
    tree = ast.parse(Path(exit_codes.__file__).read_text("utf-8"))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ExitCode"]
    for node, docstring in itertools.pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(docstring, ast.Expr):
            name = ast.unparse(node.targets[0])
            yield int(exit_codes.ExitCode[name]), name, ast.literal_eval(docstring.value)


def _without_title(docstring: str) -> str:
    return "A query is a list" + docstring.partition("A query is a list")[2]


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    PAGE.write_text(page(), "utf-8")
