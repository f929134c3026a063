"""The synchronous classes are what the generator makes of the asynchronous ones, and lack nothing of them."""

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import StorageAdapter, StorageOperations, Transaction
from aaow_storage.sync import SyncAdapter, SyncOperations, SyncTransaction

GENERATOR = Path(__file__).parents[2] / "packages" / "aaow-storage" / "tools" / "generate_sync.py"
PAIRS = [(StorageOperations, SyncOperations), (StorageAdapter, SyncAdapter), (Transaction, SyncTransaction)]
BLOCK = {"__aenter__": "__enter__", "__aexit__": "__exit__"}


def public(asynchronous: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(asynchronous) if not name.startswith("_") or name in BLOCK]


METHODS = [
    pytest.param(asynchronous, synchronous, name, id=f"{synchronous.__name__}.{name}")
    for asynchronous, synchronous in PAIRS
    for name in public(asynchronous)
    if name in vars(asynchronous) or asynchronous is StorageOperations
]


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


def test_the_synchronous_modules_are_what_the_generator_writes():
    written: dict[Path, str] = runpy.run_path(str(GENERATOR))["modules"]()
    assert len(written) == 6
    differing = [path.name for path, text in written.items() if path.read_text() != text]
    assert differing == [], "run `nox -s generate`"


@pytest.mark.parametrize(("asynchronous", "synchronous", "name"), METHODS)
def test_each_operation_has_a_synchronous_form_with_the_same_parameters(asynchronous: Any, synchronous: Any, name: str):
    original = getattr(asynchronous, name)
    made = getattr(synchronous, BLOCK.get(name, name))
    assert inspect.getdoc(made)
    if isinstance(original, property):
        assert isinstance(made, property)
    else:
        assert parameters(made) == parameters(original)
        assert not inspect.iscoroutinefunction(made)


@pytest.mark.parametrize("synchronous", [SyncOperations, SyncAdapter, SyncTransaction])
def test_the_docstrings_do_not_speak_of_asyncio(synchronous: type):
    documented = [synchronous, *(value for name, value in inspect.getmembers(synchronous) if not name.startswith("__"))]
    texts = [text for each in documented if (text := inspect.getdoc(each))]
    assert len(texts) > 50
    assert [text for text in texts if re.search(r"\b(await|async|task|coroutine function)\b", text)] == []


def test_a_synchronous_transaction_has_no_operation_that_only_an_adapter_has():
    assert not hasattr(SyncTransaction, "wait_for_approval")
    assert not hasattr(SyncTransaction, "changes")
