"""Other libraries that keep what agents do in SQLite or PostgreSQL, each in an environment of its own, same payload.

Each runs with its documented defaults beside one baseline: a commit a row, with two indexes. On SQLite that is bare
`sqlite3`, WAL, `synchronous=FULL`. None of them sets `synchronous`, which is FULL then; with a rollback journal
(`delete`) that is two flushes or three a commit. On PostgreSQL it is bare psycopg, a thread and a connection a caller.
"""

import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.results import Bound

PROGRAMS = Path(__file__).with_name("peers")


@frozen
class Peer:
    """A library, what installs it, and the program that measures it."""

    name: str
    requirements: tuple[str, ...]
    program: str


PEERS = (
    Peer(
        "LangGraph saver.aput", ("langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres"), "langgraph_saver.py"
    ),
    Peer("DBOS workflow of one step", ("dbos",), "dbos_step.py"),
    Peer("OpenAI SQLAlchemySession.add_items", ("openai-agents[sqlalchemy]",), "openai_session.py"),
    Peer("Agno upsert_session", ("agno", "sqlalchemy[asyncio]"), "agno_db.py"),
    Peer("ADK DatabaseSessionService.append_event", ("google-adk[db]",), "adk_events.py"),
)
DRIVERS = ("aiosqlite", "psycopg[binary]")


def against_peers(
    folder: Path, rounds: int, operations: int, only: str = "", server: str | None = None
) -> Iterator[Bound]:
    """Yield the ratio of each peer to its baseline, with 1 and with 64 callers; one that does not run says why."""
    for peer in PEERS:
        if only not in peer.name:
            continue
        try:
            result = _measured(peer, folder.resolve(), rounds, operations, server)
        except subprocess.CalledProcessError as error:
            yield Bound(f"{peer.name} could not be measured: {_reason(error)}", 0)
            continue
        for callers, ratio in result["ratios"].items():
            how = f"{result['version']}, {result['how']}"
            yield Bound(f"{peer.name} ({how}), {callers} callers, ratio to its baseline", ratio)


def _measured(peer: Peer, folder: Path, rounds: int, operations: int, server: str | None) -> dict[str, Any]:
    where = (PROGRAMS / peer.program, folder, rounds, operations, *([] if server is None else [server]))
    command = [str(part) for part in (_python(peer), *where)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def _python(peer: Peer) -> Path:
    """Return the interpreter of the peer's environment, inside of this one; make it if it is missing."""
    home = Path(sys.prefix) / "peers" / Path(peer.program).stem
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=shutil.which("uv") is None)
    _install(python, (*peer.requirements, *DRIVERS))
    return python


def _install(python: Path, requirements: tuple[str, ...]) -> None:
    uv = shutil.which("uv")
    pip = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    subprocess.run([*pip, "--quiet", *requirements], check=True, capture_output=True, text=True)


def _reason(error: subprocess.CalledProcessError) -> str:
    """Return the last line that names an error."""
    lines = str(error.stderr).strip().splitlines()
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (named or lines or [f"exit status {error.returncode}"])[-1]
