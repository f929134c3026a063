"""Run a workflow of agents on a store, close the store, open it again, and print what is in it.

python packages/aaow-storage/examples/quickstart [path/to/workflow.json]
"""

import argparse
import asyncio
import io
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aaow_storage import BackendNotFoundError, Capability, StorageError, StoredWorkflow, create_adapter
from aaow_storage.authoring import redacted_url
from definition import DefinitionError, nodes_of, read_workflow
from engine import run_workflow
from findings import Findings, read_back
from report import print_report

SHIPPED_WORKFLOW = Path(__file__).parent / "research_report.json"
SQLITE = "sqlite"
DEFAULT_FILE = "./aaow-quickstart.db"
MAX_WIDTH = 110
WRONG_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the quickstart, and return the exit code."""
    options = _options(arguments)
    console = _console()
    try:
        workflow = read_workflow(options.workflow)
        _print_start(console, options, workflow)
        found = asyncio.run(run_and_read_back(options.backend, options.url, workflow))
    except (DefinitionError, BackendNotFoundError) as error:
        return _refuse(error, WRONG_INPUT)
    except StorageError as error:
        return _refuse(error, 1)
    print_report(console, found)
    _print_end(console, options, found)
    return 0


async def run_and_read_back(backend: str, url: str | None, workflow: StoredWorkflow) -> Findings:
    """Run a session, close the store, open it again, and read the session back."""
    async with create_adapter(backend, url) as storage:
        session_id = await run_workflow(storage, workflow)
        if Capability.DURABLE not in storage.capabilities:  # the store is empty once it is closed
            return await read_back(storage, session_id)
    async with create_adapter(backend, url) as reopened:
        return await read_back(reopened, session_id)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="quickstart", description="Run a workflow of agents on a store, and show what is stored."
    )
    parser.add_argument(
        "workflow",
        nargs="?",
        type=Path,
        default=SHIPPED_WORKFLOW,
        metavar="WORKFLOW.json",
        help="any JSON document; without one, the research report that comes with the quickstart",
    )
    parser.add_argument("--backend", default=SQLITE, metavar="NAME", help="the name of the backend (%(default)s)")
    parser.add_argument("--url", help=f"the URL or path of the store ({DEFAULT_FILE} for {SQLITE})")
    options = parser.parse_args(arguments)
    if options.url is None and options.backend == SQLITE:
        options.url = DEFAULT_FILE
    return options


def _console() -> Console:
    """Return a console at most `MAX_WIDTH` wide, which prints question marks for characters that its terminal lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH)
    return console


def _store(options: argparse.Namespace) -> str:
    return f"the {options.backend} store {redacted_url(options.url)}" if options.url else f"a {options.backend} store"


def _print_start(console: Console, options: argparse.Namespace, workflow: StoredWorkflow) -> None:
    nodes = nodes_of(workflow.definition)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(node.kind for node in nodes).most_common())
    console.print(Text(f"Running {workflow.name} ({options.workflow.name}) on {_store(options)}.", overflow="fold"))
    if (workflow.metadata or {}).get("is_wrapped"):
        console.print("The document is not a JSON object, so it is stored in one, under the key 'document'.")
    if all(node.is_added for node in nodes):
        console.print("The document has no list of nodes, so a step of each kind is run for it.")
    console.print(f"{len(nodes)} steps: {kinds}.\n")


def _print_end(console: Console, options: argparse.Namespace, found: Findings) -> None:
    console.print()
    console.print(Rule("What next", align="left", style="dim"))
    hints = Table.grid(padding=(0, 2))
    if options.url and Path(options.url).is_file():
        query = '"SELECT * FROM budget_pools"'
        hints.add_row("look inside", Text(" ".join(("sqlite3", shlex.quote(options.url), query)), overflow="fold"))
    hints.add_row("add a session", "nox -s quickstart")
    hints.add_row("run your own JSON", "nox -s quickstart -- path/to/workflow.json")
    hints.add_row("run all tests", "nox -s tests")
    console.print(hints)
    end = f"All of this is in {_store(options)}." if found.is_durable else "The store was in memory, and is gone."
    console.print(Text(f"\n{end}", overflow="fold"))
    if found.is_durable and options.url:
        command = f"{_command()} studio -s {shlex.quote(redacted_url(options.url))} \\\n  --allow-decisions --as you"
        console.print(Text(f"See it in the browser, and decide what waits:\n\n{command}", overflow="fold"))


def _command() -> str:
    """Return how the command line is called: by its path, because it is in the environment of this run alone."""
    installed = Path(sys.executable).with_name("aaow-storage")
    if not installed.exists():
        return 'pip install "aaow-storage[studio]" && aaow-storage'
    here = Path.cwd()
    return shlex.quote(str(installed.relative_to(here) if installed.is_relative_to(here) else installed))


def _refuse(error: Exception, exit_code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
