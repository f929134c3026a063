"""`UsageError`: what a command raises if its arguments do not fit together."""

from aaow_storage_tools.command_line.exit_codes import ExitCode


class UsageError(Exception):
    """The arguments of a command are wrong; nothing was done."""

    exit_code = ExitCode.USAGE
