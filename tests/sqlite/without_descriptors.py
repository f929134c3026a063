"""Opens and uses a store in a process that has hardly any descriptors left, and again when it has enough.

Run as `python without_descriptors.py FOLDER`: it prints a line of JSON for each number of descriptors left, with the
outcomes of opening, of the calls, and of the calls once descriptors are free again.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from aaow_storage import Session, StorageError, create_adapter

MAX_DESCRIPTORS = 256
MAX_CALL_S = 30.0


def all_but(left: int) -> list[int]:
    """Open descriptors until only so many are left."""
    held = []
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:  # there is none left
            break
    for _ in range(left):
        os.close(held.pop())
    return held


async def outcome(awaitable: Awaitable[Any]) -> str:
    """Return "value", the name of a storage error, or "raw" and an error that must not come."""
    try:
        async with asyncio.timeout(MAX_CALL_S):
            await awaitable
    except StorageError as error:
        return f"raw {error} {error.__cause__!r}" if "unforeseen" in str(error) else type(error).__name__
    except BaseException as error:  # noqa: BLE001 - any other error is reported
        return f"raw {error!r}"
    return "value"


async def outcomes(path: Path, left: int) -> dict[str, list[str]]:
    """Open a store and call it, first while so many descriptors are left, then while there are enough."""
    adapter = create_adapter("sqlite", str(path))
    held = all_but(left)
    try:
        scarce = [await outcome(adapter.initialize())]
        for number in range(3):
            session = Session(id=f"{left} {number}", workflow_id=None, workflow_snapshot={})
            scarce += [await outcome(adapter.create_session(session)), await outcome(adapter.list_sessions())]
        scarce.append(await outcome(adapter.close()))
    finally:
        for descriptor in held:
            os.close(descriptor)
    session = Session(id=f"{left}", workflow_id=None, workflow_snapshot={})
    free = [await outcome(adapter.initialize()), await outcome(adapter.create_session(session))]
    free += [await outcome(adapter.get_session(f"{left}")), await outcome(adapter.close())]
    return {"scarce": scarce, "free": free}


def main() -> None:
    """Try more and more descriptors, on an existing store and on new ones."""
    folder = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))
    asyncio.run(outcomes(folder / "store.db", MAX_DESCRIPTORS // 2))
    for left in range(20):
        for path in (folder / "store.db", folder / f"new-{left}.db"):
            told = {"left": left, "path": path.name, **asyncio.run(outcomes(path, left))}
            print(json.dumps(told), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
