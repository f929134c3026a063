"""The suite catches every backend that is broken on purpose, and no sound one."""

import pytest

from aaow_storage import available_backends
from aaow_storage_conformance import CLAUSES
from aaow_storage_conformance.broken import BROKEN, BrokenBackend
from aaow_storage_conformance.broken._runner import clauses_without_a_mistake, failures_of, sound_backends, verdicts

AREAS_TO_COME = ("QRY", "TXN", "BUD", "APR", "STR", "LIF", "ERR", "CON", "DUR")
"""The areas whose mistakes are not all written yet."""


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_backend_is_caught(broken: BrokenBackend):
    sound = next(each for each in sound_backends() if broken.suits(each))
    assert [verdict.clause for verdict in verdicts(broken, sound) if verdict.test is None] == []


@pytest.mark.parametrize("clause", CLAUSES)
def test_a_sound_backend_is_not_caught(clause: str):
    assert failures_of(available_backends()["memory"], clause) == []


def test_every_clause_is_broken_by_some_backend():
    assert [clause for clause in clauses_without_a_mistake() if not clause.startswith(AREAS_TO_COME)] == []


def test_every_broken_backend_says_what_it_gets_wrong():
    assert [name for name, broken in BROKEN.items() if not broken.mistake.endswith(".")] == []
