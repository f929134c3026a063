"""The application of cyclopts, made from the catalogue."""

from collections.abc import Sequence
from typing import Any

from cyclopts import App, Group

from aaow_storage_tools.command_line.catalogue import COMMANDS, GROUPS, SECTIONS
from aaow_storage_tools.command_line.help_pages import HelpPages

HELP = """Look into a store of agent workflows, decide, move and back it up, and keep it in order.

A command takes its store from `--storage NAME_OR_URL`, from `DATABASE_URL`, or from the configuration file. \
`aaow-storage COMMAND --help` has its options, `aaow-storage --version` prints the version.

Exit codes: 0 done, 1 findings or failed, 2 usage, 3 partly done and resumable, 10 store not there, 11 busy, \
12 schema differs, 13 refused, 130 interrupted.
"""


def make_application(words: Sequence[str] = ()) -> App:
    """Return the application with all commands, none of which is imported yet.

    The command that the words begin with has its docstring as its help, in place of its summary; to read it, cyclopts
    imports the command.
    """
    sections = {name: Group(name, sort_key=place) for place, name in enumerate(SECTIONS)}
    application = App(
        name="aaow-storage",
        help=HELP,
        group_parameters=Group("Options", sort_key=90),
        help_format="plaintext",
        help_formatter=HelpPages(),
        version_flags=(),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    for flag in application.help_flags:
        application[flag].show = False
    for name, (summary, section) in GROUPS.items():
        application.command(App(name=name, help=summary, version_flags=(), group=sections[section]))
    for place, command in enumerate(COMMANDS):
        group, _, name = command.name.rpartition(" ")
        settings: dict[str, Any] = {"name": name, "sort_key": place}
        if command.name.split() != list(words[: command.name.count(" ") + 1]):
            settings["help"] = command.summary
        if group:
            application[group].command(command.function, **settings)
        else:
            application.command(command.function, group=sections[command.section], **settings)
    return application
