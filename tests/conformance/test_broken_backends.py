"""The suite catches every broken backend (mutant), and passes a reference backend."""

import pytest

from aaow_storage import Capability, DelegatingTransaction, Transaction, available_backends
from aaow_storage_conformance import test_contract
from aaow_storage_conformance.broken import BROKEN, BrokenBackend, Delegating, Querying
from aaow_storage_conformance.broken._certifying import CertifyingAdapter
from aaow_storage_conformance.broken._matrix import main
from aaow_storage_conformance.broken._runner import (
    LARGE,
    ContractTest,
    Verdict,
    clauses_without_a_mistake,
    failures,
    reference_backend_for,
    verdicts,
)

pytestmark = [
    pytest.mark.usefixtures("collect_garbage_at_the_end"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # of what they dropped
]

AREAS = [name for name in vars(test_contract) if name.startswith("Test")]


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_backend_is_caught(broken: BrokenBackend):
    reference = reference_backend_for(broken)
    assert reference is not None
    assert [verdict.clause for verdict in verdicts(broken, reference) if verdict.test is None] == []


class Sound(Querying):
    """Gets nothing wrong: what it does not do itself, `DelegatingAdapter` and `DelegatingTransaction` pass on."""

    def wrap_transaction(self, transaction: Transaction) -> Transaction:
        return DelegatingTransaction(transaction)


@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_a_sound_backend_is_not_caught(suite: list[ContractTest], area: str):
    tests = [test for test in suite if test.owner.__name__ == area and not test.is_slow]
    assert failures(available_backends()["memory"], Sound, tests) == []


OF_TRANSACTIONS = (
    *("Cancellation", "Closing", "Concurrency", "Crosswise", "Following", "Holders", "Isolation", "Losing"),
    *("Races", "Retryability", "Sharing", "Transact", "Transactions"),
)


@pytest.mark.slow
@pytest.mark.parametrize("area", OF_TRANSACTIONS)
def test_a_sound_backend_whose_writers_do_not_wait_is_not_caught(suite: list[ContractTest], area: str):
    tests = [test for test in suite if test.owner.__name__ == f"Test{area}" and not test.is_slow]
    assert tests
    assert failures(available_backends()["memory"], CertifyingAdapter, tests) == []


class Modest(Sound):
    """Does not claim that its writers wait, though they do."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return super().capabilities - {Capability.WRITERS_WAIT}


@pytest.mark.slow
def test_a_sound_backend_whose_writers_wait_untold_is_not_caught(suite: list[ContractTest]):
    tests = [test for test in suite if test.owner.__name__ == "TestLosing"]
    assert failures(available_backends()["memory"], Modest, tests) == []


def test_the_large_tests_of_the_runner_are_tests_of_the_suite(suite: list[ContractTest]):
    assert sorted(LARGE - {test.name for test in suite}) == []


def test_a_test_that_is_said_to_catch_a_broken_backend_is_of_a_clause_that_it_breaks(suite: list[ContractTest]):
    checked = {(test.name, clause) for test in suite for clause in test.clauses}
    assert [
        (broken.name, name)
        for broken in BROKEN.values()
        for name in broken.caught_by
        if not any((name, clause) in checked for clause in broken.clauses)
    ] == []


def test_every_clause_has_a_broken_backend():
    assert clauses_without_a_mistake() == []


def test_every_broken_backend_has_a_docstring_with_its_mistake():
    assert [name for name, broken in BROKEN.items() if not broken.mistake.endswith(".")] == []


def test_a_reference_backend_survives_the_runner():
    reference = available_backends()["memory"]
    unbroken = BrokenBackend("Delegating", "Gets nothing wrong.", ("SES-1", "OPS-5"), Delegating)
    assert verdicts(unbroken, reference) == [Verdict("SES-1"), Verdict("OPS-5")]


def test_the_command_prints_which_test_catches_which_mistake(capsys: pytest.CaptureFixture[str]):
    assert main(["KeepsOldNodeErrors", "ReplacesByDeletingFirst"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "KeepsOldNodeErrors: Keeps the old error of a node that is saved without one.",
        "  STA-3   test_a_retry_that_succeeded_keeps_no_old_error",
        "ReplacesByDeletingFirst: Deletes a record before it replaces it, so that deletes cascade.",
        "  OPS-3   test_saving_again_keeps_what_belongs_to_the_record",
        "  WFL-1   test_saving_a_workflow_again_keeps_its_sessions_attached",
        "all were run; 2 of 2 broken backends caught",
    ]


def test_the_command_refuses_a_backend_that_is_not_in_the_catalogue(capsys: pytest.CaptureFixture[str]):
    assert main(["Unheard"]) == 2
    assert "Unheard" in capsys.readouterr().err
