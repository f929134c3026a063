"""`aaow-storage completion`."""

from typing import Literal

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import OUTPUT, Injected, OutputOptions


async def run(
    shell: Literal["bash", "zsh", "fish"], /, *, terminal: Injected, options: OutputOptions = OUTPUT
) -> ExitCode | None:
    """Print a script that makes a shell complete commands, options, kinds, profiles and ids.

        bash, in ~/.bashrc: eval "$(aaow-storage completion bash)"
        zsh, into a folder of fpath: aaow-storage completion zsh > _aaow-storage
        fish, in config.fish: aaow-storage completion fish | source

    Ids are those of the store that the options, DATABASE_URL or the configuration file name.

    Args:
        shell: the shell.
    """
    from aaow_storage_tools.command_line.application import make_application

    script = make_application().generate_completion(shell=shell)
    terminal.print_as_is(script)
    terminal.emit({"type": "completion", "shell": shell, "script": script})
    return None
