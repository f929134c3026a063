"""The command line `aaow-storage`."""

from aaow_storage_tools.command_line.program import main

__all__ = ["main"]
