"""The suite catches every backend that is broken on purpose, and no sound one."""

import pytest

from aaow_storage import available_backends
from aaow_storage_conformance import test_contract
from aaow_storage_conformance.broken import BROKEN, BrokenBackend, Delegating, Querying
from aaow_storage_conformance.broken._runner import (
    ContractTest,
    clauses_without_a_mistake,
    failures,
    sound_backends,
    verdicts,
)

AREAS = [name for name in vars(test_contract) if name.startswith("Test")]
AREAS_TO_COME = ("LIF", "ERR", "CON", "DUR", "BUD-3", "APR-2", "TXN-8")
"""The areas whose mistakes are not all written yet."""


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_backend_is_caught(broken: BrokenBackend):
    sound = next(each for each in sound_backends() if broken.suits(each))
    assert [verdict.clause for verdict in verdicts(broken, sound) if verdict.test is None] == []


@pytest.mark.parametrize("layer", [Delegating, Querying])
@pytest.mark.parametrize("area", AREAS)
def test_a_sound_backend_is_not_caught(suite: list[ContractTest], area: str, layer: type[Delegating]):
    tests = [test for test in suite if test.owner.__name__ == area and not test.is_slow]
    assert failures(available_backends()["memory"], layer, tests) == []


def test_every_clause_is_broken_by_some_backend():
    assert [clause for clause in clauses_without_a_mistake() if not clause.startswith(AREAS_TO_COME)] == []


def test_every_broken_backend_says_what_it_gets_wrong():
    assert [name for name, broken in BROKEN.items() if not broken.mistake.endswith(".")] == []
