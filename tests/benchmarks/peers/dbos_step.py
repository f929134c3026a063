"""DBOS: each caller runs one workflow whose every step returns the payload, which is recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dbos import DBOS
from harness import PAYLOAD, Append, measure


@DBOS.step()
async def step(number: int) -> dict[str, Any]:
    return {**PAYLOAD, "number": number}


@DBOS.workflow()
async def workflow(number: int) -> None:
    await step(number)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Append]:
    DBOS(config={"name": "benchmark", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    try:
        yield workflow
    finally:
        DBOS.destroy()


measure("dbos", opened)
