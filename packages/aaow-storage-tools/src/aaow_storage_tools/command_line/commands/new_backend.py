"""`aaow-storage new-backend`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aaow_storage_tools.command_line.options import OUTPUT, Injected, OutputOptions


async def run(
    name: str,
    /,
    *,
    folder: Path | None = None,
    sql: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    terminal: Injected,
    options: OutputOptions = OUTPUT,
) -> None:
    """Write a package for a backend of your own, which passes the conformance suite from the first minute.

    It has the backend, its entry point, tests, waivers, a README and a workflow for continuous integration. The backend
    keeps rows in memory, or with --sql in SQLite, used as if it were a server; put your database behind it step by
    step, and run the suite after each.

    Args:
        name: the name of the backend, which is the scheme of its URLs as well.
        folder: where to write it; aaow-storage-NAME in the current folder by default.
        sql: build it on the package for SQL databases, which has the tables, the operations, the migrations and the
            threads.
    """
    from aaow_storage_tools import new_backend

    report = new_backend(name, folder, sql=sql)
    for each in report.files:
        terminal.print(f"{report.folder / each}")
    terminal.note(
        f"\nNext, in {report.folder}:\n"
        '  python -m pip install --editable ".[test]"\n'
        "  python -m pytest\n"
        f"  python -m pytest --pyargs aaow_storage_conformance --storage-backend={report.name} \\\n"
        '      --storage-waivers=waivers.toml -m "not slow" --numprocesses=auto'
    )
    terminal.emit({"type": "result", **report.to_dict()})
