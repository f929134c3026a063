"""Copies stores, each in a process of its own that kills itself: `python killed_copy.py`.

It reads a line of JSON for each copy, a list of the two URLs, the path of the journal and a step, and answers with the
exit code of the process. A step is a transaction of the target that begins or has ended, or a journal that was written.
The process ends by SIGKILL at that step, counted from 1, and with 0 if the copy is done before. It is forked where all
modules are imported already, because importing takes most of the time of a copy.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import demo_store

from aaow_storage import create_adapter
from aaow_storage_tools._copying import walk
from aaow_storage_tools._copying.copying import copy_store
from aaow_storage_tools._copying.journal import Journal

walk._FIRST_SESSIONS = walk._MAX_SESSIONS = 2


def kill_at(last: int) -> Any:
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


async def import_all(folder: str) -> None:
    """Copy a store, and so import what a copy imports; all threads have ended when the stores are closed."""
    async with (
        create_adapter(f"file:{folder}/source.db") as source,
        create_adapter(f"file:{folder}/target.db") as target,
    ):
        await demo_store.fill(source)
        await copy_store(source, target, journal=Path(folder, "journal"))


async def copy(source_url: str, target_url: str, journal: str, last: int) -> None:
    """Copy a store, and end the process at a step."""
    step = kill_at(last)
    async with create_adapter(source_url) as source, create_adapter(target_url) as target:
        transact, save = target.transact, Journal.save

        async def transact_in_steps(*arguments: Any, **options: Any) -> Any:
            step()
            result = await transact(*arguments, **options)
            step()
            return result

        def save_in_steps(self: Journal) -> None:
            save(self)
            step()

        target.transact = transact_in_steps  # type: ignore[method-assign]  # to kill it there
        Journal.save = save_in_steps  # type: ignore[method-assign]  # to kill it there
        result = await copy_store(source, target, journal=Path(journal))
        assert result.comparison is not None
        assert result.comparison.is_equal


def main() -> None:
    """Import everything, then fork for each copy."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(import_all(folder))
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            code = 1
            try:
                asyncio.run(copy(*json.loads(line)))
                code = 0
            except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
                traceback.print_exc()
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)  # noqa: T201 - an answer


if __name__ == "__main__":
    main()
