"""What the tests of the suite share."""

import gc
from collections.abc import Iterator

import pytest

from aaow_storage_conformance.broken._runner import ContractTest, contract_tests


@pytest.fixture(scope="session")
def suite() -> list[ContractTest]:
    """Every test of the suite."""
    return list(contract_tests())


@pytest.fixture
def what_is_dropped_goes() -> Iterator[None]:
    """Collect what the test drops, so that its warnings do not come in the next test, which may allow none."""
    yield
    gc.collect()


RUN_BROKEN_BACKENDS = {"test_broken_backends.py", "test_time_limits.py"}
"""Modules whose tests drop broken backends as they stand: open, or with calls that stand still for ever."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count as slow what runs pytest in processes of its own, each of which takes seconds."""
    for item in items:
        if item.path.name in RUN_BROKEN_BACKENDS:
            item.add_marker(pytest.mark.usefixtures("what_is_dropped_goes"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
