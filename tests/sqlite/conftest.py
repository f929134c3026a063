"""A store in a file, adapters with a tuning of their own, and access to the file past the adapter."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage_sql import Call, Operation, SQLStorageAdapter
from aaow_storage_sqlite._executor import SQLiteExecutor
from aaow_storage_sqlite._settings import parse_settings
from aaow_storage_sqlite._tuning import Tuning

PATIENCE_S = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the file, which does not exist yet."""
    return tmp_path / "store.db"


@pytest_asyncio.fixture
async def storage(path: Path) -> AsyncIterator[StorageAdapter]:
    """An initialized adapter on the file."""
    async with create_adapter("sqlite", str(path)) as adapter:
        yield adapter


@pytest.fixture
def create_tuned() -> Callable[..., SQLStorageAdapter]:
    """A function that creates an adapter on a path, with a tuning and options."""

    def create(path: Path, tuning: Tuning, **options: Any) -> SQLStorageAdapter:
        settings = attrs.evolve(parse_settings(str(path), **options), tuning=tuning)
        return SQLStorageAdapter(SQLiteExecutor(settings), frozenset())

    return create


@pytest.fixture
def raw(path: Path) -> Iterator[Callable[..., list[tuple]]]:
    """A function that runs SQL on the file on another connection, past every rule."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield lambda sql, *values: connection.execute(sql, values).fetchall()
    connection.close()


@pytest.fixture
def descriptors_on() -> Callable[[Path], list[str]]:
    """A function that returns the files of a store that this process has open."""

    def list_descriptors(path: Path) -> list[str]:
        opened = []
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                opened.append(str(descriptor.readlink()))
            except OSError:  # the descriptor of the listing itself
                continue
        return [name for name in opened if name.startswith(str(path))]

    return list_descriptors


@pytest.fixture
def hold_writer() -> Callable[[StorageAdapter], AbstractAsyncContextManager[None]]:
    """A context manager that keeps the writer thread busy, so that operations submitted meanwhile wait together."""

    @asynccontextmanager
    async def hold(storage: StorageAdapter) -> AsyncIterator[None]:
        arrived, release = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def wait(_: object) -> None:
            loop.call_soon_threadsafe(arrived.set)
            assert release.wait(PATIENCE_S)

        holding = asyncio.create_task(storage._executor.submit(Call(Operation(wait, writes=True))))
        await arrived.wait()
        try:
            yield
        finally:
            release.set()
            await asyncio.wait_for(holding, PATIENCE_S)

    return hold


@pytest.fixture
def start_all() -> Callable[..., Coroutine[Any, Any, list[asyncio.Task[Any]]]]:
    """A function that starts operations, and returns their tasks once each has submitted its work."""

    async def start(*operations: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
        tasks = [asyncio.create_task(operation, context=Context()) for operation in operations]
        await asyncio.sleep(0)
        return tasks

    return start
