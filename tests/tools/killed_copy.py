"""Copies a store, and kills itself: `python killed_copy.py SOURCE TARGET JOURNAL STEP`.

A step is a transaction of the target that begins or has ended, or a journal that was written. The process ends by
SIGKILL at that step, counted from 1, and with 0 if the copy is done before.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

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


async def main(source_url: str, target_url: str, journal: str, last: str) -> None:
    step = kill_at(int(last))
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


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
