"""Fixtures of the tests of the conformance suite."""

import gc
import tracemalloc  # noqa: F401 - pytest would import it at a warning, and find half of it at a warning meanwhile
from collections.abc import Iterator

import pytest

from aaow_storage_conformance.broken._runner import ContractTest, contract_tests


@pytest.fixture(scope="session")
def suite() -> list[ContractTest]:
    """Every test of the suite."""
    return list(contract_tests())


@pytest.fixture
def collect_garbage_at_the_end() -> Iterator[None]:
    """Collect what the test dropped, so that its warnings do not fail the next test, which may allow none.

    Modules need it whose tests drop broken backends while they are open, or while a call on them never returns.
    """
    gc.freeze()  # so that only objects of the test are looked at, which is quick
    yield
    gc.collect()
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run pytest in a process of its own as slow, because each takes seconds."""
    for item in items:
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
