"""A call from outside of an asyncio task is refused, and the error says so."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import StorageAdapter, create_adapter
from aaow_storage.authoring import check_event_loop
from aaow_storage.errors import StorageError

PLACES = (
    ("memory",),
    ("sqlite", "agents.db"),
    ("sqlite", ":memory:"),
    ("postgresql", "postgresql://127.0.0.1:1/none"),
    ("mariadb", "mariadb://127.0.0.1:1/none"),
)


def drive(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine as an event loop of another kind would."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_every_backend_refuses_to_be_opened_without_a_loop(
    place: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    adapter = create_adapter(*place)
    for begin in (adapter.initialize, adapter.close, adapter.__aenter__, adapter.list_workflows):
        with pytest.raises(StorageError, match=r"outside of asyncio: .* asyncio\.run\(\.\.\.\)"):
            drive(begin())
    assert list(tmp_path.iterdir()) == []


def test_a_loop_of_another_kind_on_top_of_asyncio_is_refused():
    adapter: StorageAdapter = create_adapter("memory")
    problems: list[BaseException] = []

    def call_back() -> None:
        try:
            drive(adapter.initialize())
        except StorageError as error:
            problems.append(error)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(call_back)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [str(problem)[:35] for problem in problems] == ["storage was called outside of asynci"[:35]]


def test_a_call_from_an_asyncio_task_is_accepted():
    async def main() -> None:
        check_event_loop()

    asyncio.run(main())
