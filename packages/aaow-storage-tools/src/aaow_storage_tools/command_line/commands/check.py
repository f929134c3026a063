"""`aaow-storage check`."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.exit_codes import ExitCode
from aaow_storage_tools.command_line.options import STORE, Injected, StoreOptions

if TYPE_CHECKING:
    from aaow_storage_tools._checking.findings import Finding
    from aaow_storage_tools.command_line.terminal import Terminal

MAX_KEPT_LINES = 1_000
"""After so many findings, what is found is written at once."""


async def run(
    *,
    repair: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    terminal: Injected,
    options: StoreOptions = STORE,
) -> ExitCode | None:
    """Read every record of a store, and tell what is wrong with it.

    Each finding names its record and a remedy. The exit code is 1 if there is one that was not repaired. Others may go
    on reading and writing meanwhile.

    Args:
        repair: repair what can be repaired without losing anything.
    """
    from aaow_storage import CorruptDataError
    from aaow_storage_tools._checking.check import check_store
    from aaow_storage_tools._checking.findings import Finding, Problem

    count = 0

    def take(finding: Finding) -> None:
        nonlocal count
        count += 1
        if count == MAX_KEPT_LINES:
            terminal.start_writing()
        _show(terminal, finding)

    store = options.store
    with terminal.progress() as progress:
        try:
            maintenance = await store.offered_maintenance()
            async with store.open() as storage:
                report = await check_store(
                    storage,
                    maintenance=maintenance,
                    repair=repair,
                    max_findings=0,
                    on_finding=take,
                    progress=progress,
                )
        except CorruptDataError as error:
            remedy = "restore a backup that was verified"
            take(Finding(problem=Problem.STORE_DAMAGED, kind=None, id=store.place, message=str(error), remedy=remedy))
            terminal.emit_line("result", {"sound": False})
            return ExitCode.FAILED
    for what in report.skipped:
        terminal.warn(f"not checked: {what}")
    _tell_counts(terminal, report.records, count, report.repaired)
    terminal.emit_line("result", report.to_dict())
    return ExitCode.DONE if report.is_sound else ExitCode.FAILED


def _show(terminal: "Terminal", finding: "Finding") -> None:
    record = finding.id if finding.kind is None else f"{finding.kind.replace('_', ' ')} {finding.id}"
    state = {"repaired": "yes"} if finding.is_repaired else {"remedy": finding.remedy}
    terminal.print_record({"problem": str(finding.problem), "record": record, "what": finding.message, **state})
    terminal.print()
    terminal.emit_line("finding", finding.to_dict())


def _tell_counts(terminal: "Terminal", records: dict[str, int], found: int, repaired: int) -> None:
    terminal.print_table([{"kind": kind.replace("_", " "), "read": number} for kind, number in records.items()])
    terminal.print()
    if not found:
        terminal.print("Nothing is wrong.")
    else:
        terminal.print(f"{found:,} findings, {repaired:,} of them repaired.")
