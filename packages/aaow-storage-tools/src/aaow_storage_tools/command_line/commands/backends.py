"""`aaow-storage backends`."""

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import OUTPUT, Injected, OutputOptions


async def run(*, terminal: Injected, options: OutputOptions = OUTPUT) -> ExitCode:
    """List the installed backends, and why one cannot be used.

    The exit code is 1 if one cannot be used.
    """
    from importlib.metadata import entry_points

    from aaow_storage import available_backends

    distributions = {point.name: point.dist for point in entry_points(group="aaow_storage")}
    backends = []
    for name, backend in available_backends().items():
        distribution = distributions.get(name)
        backends.append(
            {
                "name": name,
                "distribution": None if distribution is None else distribution.name,
                "version": None if distribution is None else distribution.version,
                "contract": None if backend.problem else backend.contract,
                "capabilities": sorted(backend.capabilities),
                "problem": backend.problem,
                "summary": backend.summary,
            }
        )
    shown = ["name", "distribution", "version", "contract", "capabilities"]
    terminal.print_table(backends, columns=shown)
    for each in backends:
        if each["problem"]:
            terminal.print(f"\n{each['name']}: {each['problem']}")
    terminal.emit({"type": "backends", "backends": backends})
    return ExitCode.FAILED if any(each["problem"] for each in backends) else ExitCode.DONE
