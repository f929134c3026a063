"""The reference page of the command line is the one that its commands make."""

import command_reference


def test_the_page_is_what_the_commands_say(run):
    written = command_reference.PAGE.read_text("utf-8")
    assert command_reference.page() == written, "run: python tests/tools/command_reference.py"
