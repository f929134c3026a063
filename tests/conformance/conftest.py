"""What the tests of the suite share: running its tests one by one on an adapter that is broken on purpose."""

import asyncio
import inspect
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from _pytest.outcomes import Failed

from aaow_storage import Backend, Capability, new_id, register_plugin, unregister_plugin
from aaow_storage.hookspecs import hookimpl
from aaow_storage_conformance import Store, test_contract
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._stores import forget_store, store_at


@attrs.frozen
class ContractTest:
    """One test of the suite, with its parameters."""

    owner: type
    name: str
    marks: tuple[pytest.Mark, ...]
    arguments: dict[str, Any]

    @property
    def clauses(self) -> set[str]:
        """The clauses that it checks."""
        return {clause for mark in self.marks if mark.name == "clause" for clause in mark.args}

    def suits(self, capabilities: frozenset[Capability]) -> bool:
        """Say whether it is quick, and for an adapter with those capabilities."""
        for mark in self.marks:
            wanted = {"requires_capability": True, "lacks_capability": False}.get(mark.name)
            if mark.name == "slow" or (wanted is not None and (mark.args[0] in capabilities) is not wanted):
                return False
        return True


def contract_tests() -> Iterator[ContractTest]:
    """List the tests of the suite, each with one set of parameters."""
    for owner in vars(test_contract).values():
        if not inspect.isclass(owner) or not owner.__name__.startswith("Test"):
            continue
        for name, function in inspect.getmembers(owner, inspect.isfunction):
            if name.startswith("test_"):
                marks = getattr(function, "pytestmark", [])
                for arguments, more in _parameters(marks):
                    yield ContractTest(owner, name, (*marks, *more), arguments)


def _parameters(marks: list[pytest.Mark]) -> Iterator[tuple[dict[str, Any], list[pytest.Mark]]]:
    """Expand `parametrize`."""
    axes = []
    for mark in marks:
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
            axis = []
            for case in mark.args[1]:
                values = getattr(case, "values", (case,)) if hasattr(case, "marks") else (case,)
                values = values[0] if len(names) > 1 and len(values) == 1 else values
                of_case = [each.mark if hasattr(each, "mark") else each for each in getattr(case, "marks", ())]
                axis.append((dict(zip((name.strip() for name in names), values, strict=True)), of_case))
            axes.append(axis)
    for combination in itertools.product(*axes):
        arguments: dict[str, Any] = {}
        more: list[pytest.Mark] = []
        for values, of_case in combination:
            arguments |= values
            more += of_case
        yield arguments, more


@pytest.fixture(scope="session")
def suite() -> list[ContractTest]:
    """Every test of the suite."""
    return list(contract_tests())


class BrokenPlugin:
    """Provides whatever adapter is under test as the backend `broken`."""

    adapter: Callable[..., MemoryAdapter] = MemoryAdapter

    @hookimpl
    def aaow_storage_backend(self) -> Backend:
        return Backend(name="broken", summary="broken on purpose", create=self.create)

    def create(self, url: str | None = None) -> MemoryAdapter:
        return type(self).adapter(store_at(url))


@pytest.fixture
def first_failure(tmp_path: Path) -> Iterator[Callable[[str, type[MemoryAdapter]], str | None]]:
    """Run the tests of a clause on an adapter, and return the name of the first that fails, or None."""
    plugin = BrokenPlugin()
    register_plugin(plugin)

    def run(clause: str, adapter: type[MemoryAdapter]) -> str | None:
        BrokenPlugin.adapter = adapter
        for test in contract_tests():
            suits = clause in test.clauses and test.suits(MemoryAdapter().capabilities)
            if suits and not _passes(test, tmp_path):
                return test.name
        return None

    yield run
    unregister_plugin(plugin)


def _passes(test: ContractTest, tmp_path: Path) -> bool:
    url = f"memory://{new_id()}"
    try:
        asyncio.run(_run(test, url, tmp_path))
    except (Exception, Failed):  # noqa: BLE001 - a broken backend may raise anything
        return False
    finally:
        forget_store(url)
    return True


async def _run(test: ContractTest, url: str, tmp_path: Path) -> None:
    store = Store(BrokenPlugin().aaow_storage_backend(), url)
    method = getattr(test.owner(), test.name)
    wanted = inspect.signature(method).parameters
    try:
        async with asyncio.timeout(20), store.open() as storage:
            fixtures = {"storage": storage, "store": store, "tmp_path": tmp_path}
            arguments = {name: value for name, value in {**fixtures, **test.arguments}.items() if name in wanted}
            outcome = method(**arguments)
            if inspect.isawaitable(outcome):
                await outcome
    finally:
        await store.close()
