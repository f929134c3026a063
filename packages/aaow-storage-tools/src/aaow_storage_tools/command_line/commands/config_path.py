"""`aaow-storage config path`."""

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import OUTPUT, Injected, OutputOptions


async def run(*, terminal: Injected, options: OutputOptions = OUTPUT) -> ExitCode | None:
    """Print where the configuration file is, whether or not it is there."""
    from aaow_storage_tools.command_line.configuration import configuration_path

    path = configuration_path()
    terminal.print(str(path))
    terminal.emit({"type": "config_path", "path": path, "is_there": path.exists()})
    return None
