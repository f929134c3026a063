"""What migrations of a large SQLite store take: `python -m benchmarks.migrating [EXECUTIONS]`.

A store of the first revision is filled, and migrated one revision at a time to the last, and back. One line each.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aaow_storage_sql import REVISIONS
from aaow_storage_sqlite._connections import SQLiteConnection, open_writer
from aaow_storage_sqlite._settings import parse_settings
from aaow_storage_sqlite._upgrade import migrate_store

EXECUTIONS = 1_000_000
SESSIONS = 1000
TEXT = "x" * 200
START = 1_700_000_000_000_000
WITH_STREAMS = "0003"
"""The first revision with budget pools and stream events."""
MIB = 2**20
WAIT_S = 10.0


def migrating(folder: Path, executions: int) -> Iterator[str]:
    """Yield a line for each step: the time, and what was written to the disk, checkpoints included."""
    path = folder / "store.db"
    connection = open_writer(parse_settings(str(path)))
    try:
        migrate_store(connection, REVISIONS[0], WAIT_S)
        _fill(connection, executions)
        for revision in REVISIONS[1:]:
            yield _step(connection, revision, path)
            if revision == WITH_STREAMS:
                _fill_streams(connection, executions // 10)
        for revision in reversed(REVISIONS[:-1]):
            yield _step(connection, revision, path)
    finally:
        connection.close()


def _step(connection: SQLiteConnection, revision: str, path: Path) -> str:
    before, began = _written_bytes(), time.perf_counter()
    migrate_store(connection, revision, WAIT_S)
    took_s = time.perf_counter() - began
    connection.command("PRAGMA wal_checkpoint(TRUNCATE)")
    written = (_written_bytes() - before) / MIB
    return (
        f"to {revision}: {took_s:8.3f} s, {written:8.1f} MiB written; the file has {path.stat().st_size / MIB:.0f} MiB"
    )


def _written_bytes() -> int:
    """Return how much this process has had written to disks; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _fill(connection: SQLiteConnection, executions: int) -> None:
    driver_connection = connection.driver_connection
    connection.command("BEGIN")
    connection.command("INSERT INTO documents (digest, body) VALUES (x'00', '{}')")
    driver_connection.executemany(
        "INSERT INTO sessions (id, snapshot_digest, status, created_at, updated_at) VALUES (?, x'00', 'running', ?, ?)",
        ((f"session {number:06}", START, START) for number in range(SESSIONS)),
    )
    driver_connection.executemany(
        "INSERT INTO llm_executions (id, session_id, node_id, timestamp, success, prompt_tokens, completion_tokens, "
        "total_tokens, text) VALUES (?, ?, 'draft', ?, 1, 900, 120, 1020, ?)",
        ((f"e{number:012}", f"session {number % SESSIONS:06}", START + number, TEXT) for number in range(executions)),
    )
    driver_connection.executemany(
        "INSERT INTO tool_call_logs (id, execution_id, tool_call_id, tool_name, timestamp, args) "
        "VALUES (?, ?, 'c', 'search', ?, '{}')",
        ((f"t{number:012}", f"e{number:012}", START + number) for number in range(executions // 10)),
    )
    connection.command("COMMIT")


def _fill_streams(connection: SQLiteConnection, events: int) -> None:
    driver_connection = connection.driver_connection
    connection.command("BEGIN")
    driver_connection.executemany(
        "INSERT INTO stream_events (id, stream_id, node_id, timestamp, data) VALUES (?, ?, 'draft', ?, '1')",
        ((f"v{number:012}", f"stream {number % SESSIONS}", START + number) for number in range(events)),
    )
    driver_connection.executemany(
        "INSERT INTO budget_pools (id, total_budget, used_budget, status, created_at) VALUES (?, '100.5', '0', ?, ?)",
        ((f"p{number:06}", "active", START) for number in range(SESSIONS)),
    )
    connection.command("COMMIT")


def main() -> None:
    """Print the lines."""
    executions = int(sys.argv[1]) if len(sys.argv) > 1 else EXECUTIONS
    with tempfile.TemporaryDirectory(prefix="migrating-") as folder:
        for line in migrating(Path(folder), executions):
            print(line, flush=True)  # noqa: T201 - a program prints


if __name__ == "__main__":
    main()
