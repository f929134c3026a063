"""What the tests of the suite share."""

import pytest

from aaow_storage_conformance.broken._runner import ContractTest, contract_tests


@pytest.fixture(scope="session")
def suite() -> list[ContractTest]:
    """Every test of the suite."""
    return list(contract_tests())
