"""Damages copies of a SQLite store, each by its own seed, and calls every operation on each.

Run as `python damaged_stores.py FOLDER FIRST LAST`: it prints a line of JSON for each seed, with the counted outcomes
of the calls. It is a separate process, because a damaged file may crash or hang it.
"""

import asyncio
import contextlib
import functools
import gc
import json
import random
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from aaow_storage import (
    BudgetPool,
    Gt,
    OrderBy,
    QueryFilter,
    StorageAdapter,
    StorageError,
    StorageOperations,
    create_adapter,
)
from aaow_storage_conformance.data import samples
from aaow_storage_conformance.data.calls import Call, every_call

PAGE = 8192
MAX_CALL_S = 30.0
IN_JSON = QueryFilter({"metadata.number": Gt(3)}, order_by=[OrderBy("metadata.text"), OrderBy("name")])
BY_AMOUNT = QueryFilter({"total_budget": Gt(1)}, order_by=[OrderBy("used_budget")])
CALLS = [
    *(call for call in every_call() if call.name.startswith(("get_", "list_", "count_"))),
    Call("list_workflows", (IN_JSON,)),
    Call("list_budget_pools", (BY_AMOUNT,)),
    Call("list_sessions", (QueryFilter(documents=False),)),
    *(call for call in every_call() if not call.name.startswith(("get_", "list_", "count_"))),
]


async def fill(path: Path, count: int = 25) -> None:
    """Store records of every kind, with the ids in `CALLS`, and keep copies of the files with a write-ahead log."""
    adapter = create_adapter("sqlite", str(path))
    await adapter.initialize()
    await samples.stored_workflow(adapter, id="w")
    await adapter.create_session(samples.a_session(id="s", workflow_id="w"))
    await adapter.save_execution_state(samples.a_state("s"))
    await adapter.save_llm_execution("s", "draft", samples.a_result(id="e"))
    await adapter.create_budget_pool(BudgetPool(id="root", total_budget=1000))
    await adapter.create_budget_pool(BudgetPool(id="p", parent_pool_id="root", total_budget="99.5"))
    await adapter.create_approval_request(samples.a_request("s", id="a"))
    for number in range(count):
        await samples.stored_workflow(adapter)
        session = await samples.stored_session(adapter)
        await adapter.save_execution_state(samples.a_state(session.id))
        execution = await samples.stored_execution(adapter, session.id)
        await samples.stored_tool_call(adapter, execution.id)
        await samples.stored_tool_call(adapter, "e")
        await adapter.create_budget_pool(BudgetPool(parent_pool_id="p", total_budget=number + 1, used_budget="0.25"))
        await samples.stored_request(adapter, "s")
        await adapter.save_stream_event(samples.an_event("stream"))
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}{suffix}.filled")
    await adapter.close()
    shutil.copy(path, f"{path}.closed")


def flip(data: bytearray, chance: random.Random, first: int, end: int) -> None:
    """Change some bits of some bytes in a part."""
    for _ in range(chance.choice([1, 1, 2, 8, 64])):
        data[chance.randrange(first, end)] ^= 1 << chance.randrange(8)


def damage(data: bytearray, chance: random.Random) -> str:
    """Damage the bytes of a file in one of several ways, and return its name."""
    pages = max(1, len(data) // PAGE)
    page = chance.randrange(pages) * PAGE
    end = min(page + PAGE, len(data))
    way = chance.choice(
        ["header", "schema", "bits", "bits", "bits", "zeros", "noise", "truncated", "swapped", "repeated"]
    )
    match way:
        case "header":
            flip(data, chance, 0, 100)
        case "schema":
            flip(data, chance, 100, min(PAGE, len(data)))
        case "bits":
            flip(data, chance, page, end)
        case "zeros":
            data[page:end] = bytes(end - page)
        case "noise":
            data[page:end] = chance.randbytes(end - page)
        case "truncated":
            del data[chance.randrange(len(data)) :]
        case "swapped":
            other = chance.randrange(pages) * PAGE
            data[page : page + PAGE], data[other : other + PAGE] = data[other : other + PAGE], data[page : page + PAGE]
        case "repeated":
            other = chance.randrange(pages) * PAGE
            data[page : page + PAGE] = data[other : other + PAGE]
    return way


def damaged(folder: Path, seed: int) -> str:
    """Make a damaged copy of the store, with a log or without; return the kind of damage."""
    chance = random.Random(seed)
    source, copy = folder / "store.db", folder / "damaged.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
    if chance.random() < 0.7:
        data = bytearray(Path(f"{source}.closed").read_bytes())
        way = damage(data, chance)
        copy.write_bytes(data)
        return way
    log = bytearray(Path(f"{source}-wal.filled").read_bytes())
    way = damage(log, chance)
    shutil.copy(f"{source}.filled", copy)
    Path(f"{copy}-wal").write_bytes(log)
    return f"log {way}"


async def outcome(call: Callable[[], Any]) -> str:
    """Return the outcome of a call: "value", the name of a storage error, or "raw" and an error that must not come."""
    try:
        async with asyncio.timeout(MAX_CALL_S):
            await call()
    except StorageError as error:
        unforeseen = "unforeseen" in str(error)
        return f"raw {error!r} {error.__cause__!r}" if unforeseen else type(error).__name__
    except BaseException as error:  # noqa: BLE001 - any other error is reported
        return f"raw {error!r}"
    return "value"


@contextlib.asynccontextmanager
async def closing(adapter: StorageAdapter, outcomes: list[str]) -> AsyncIterator[None]:
    """Close the adapter after the block, and add the outcome of closing."""
    try:
        yield
    finally:
        outcomes.append(await outcome(adapter.close))


async def outcomes_of_calls(storage: StorageOperations) -> list[str]:
    """Make every call, one after the other."""
    return [await outcome(functools.partial(call.on, storage)) for call in CALLS]


async def outcomes_on(path: Path) -> list[str]:
    """Open the store and call everything, in a transaction too."""
    adapter = create_adapter("sqlite", str(path))
    outcomes: list[str] = []
    async with closing(adapter, outcomes):
        outcomes.append(await outcome(adapter.initialize))
        outcomes += await outcomes_of_calls(adapter)

        async def transaction() -> None:
            async with adapter.transaction() as transaction:
                outcomes.extend(await outcomes_of_calls(transaction))

        outcomes.append(await outcome(transaction))
    return outcomes


def main() -> None:
    """Fill a store, damage it once for each seed, and print the outcomes."""
    folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(fill(folder / "store.db"))
    gc.freeze()  # so that the modules are not looked at again and again
    for seed in range(first, last):
        way = damaged(folder, seed)
        counted = Counter(asyncio.run(outcomes_on(folder / "damaged.db")))
        print(json.dumps({"seed": seed, "way": way, "outcomes": counted}), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
