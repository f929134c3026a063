"""What the tests of the suite share."""

import pytest

from aaow_storage_conformance.broken._runner import ContractTest, contract_tests


@pytest.fixture(scope="session")
def suite() -> list[ContractTest]:
    """Every test of the suite."""
    return list(contract_tests())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count as slow what runs pytest in processes of its own, each of which takes seconds."""
    for item in items:
        if "pytester" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
