"""A capability that the adapter claims is tested; one that it does not claim is reported."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

PLAIN = """
from aaow_storage import Backend, register_plugin
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._stores import store_at
from aaow_storage_memory.plugin import temporary_store

class Plugin:
    @hookimpl
    def aaow_storage_backend(self):
        return Backend(
            name="plain",
            summary="claims nothing",
            create=lambda url=None: MemoryAdapter(store_at(url), {claimed}),
            contract="{contract}",
            temporary_store=temporary_store,
        )

register_plugin(Plugin())
"""


def suite_on(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--pyargs", "aaow_storage_conformance", "-p", "no:cacheprovider", *arguments)


def on_plain(
    pytester: pytest.Pytester, *arguments: str, claimed: str = "()", contract: str = "1.1"
) -> pytest.RunResult:
    pytester.makepyfile(plain_backend=PLAIN.format(claimed=claimed, contract=contract))
    return suite_on(pytester, "-p", "plain_backend", "--storage-backend=plain", *arguments)


def clause_of(path: Path, name: str) -> dict[str, Any]:
    report = json.loads(path.read_text())
    return next(each for each in report["clauses"] if each["id"] == name)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_capability_that_is_not_claimed_is_refused_and_reported(pytester: pytest.Pytester, workers: str):
    result = on_plain(pytester, "--conformance-clause=STR-1", "--conformance-report=r.json", "-n", workers)
    assert result.ret == pytest.ExitCode.OK
    outcomes = result.parseoutcomes()
    assert "skipped" not in outcomes
    clause = clause_of(pytester.path / "r.json", "STR-1")
    assert clause["result"] == "not claimed"
    assert clause["counts"]["passed"] == outcomes["passed"] > 0
    assert clause["counts"]["not claimed"] > 0
    assert clause["counts"]["not run"] == clause["counts"]["not applicable"] == 0
    assert json.loads((pytester.path / "r.json").read_text())["backend"]["capabilities"] == []
    claimed_by_none = "STR-1, STR-2, STR-3, CHG-1, CHG-2, CHG-3, CHG-4, DUR-1"
    result.stdout.fnmatch_lines(
        ["  STR-1  not claimed *", f"*not claimed: stream_events, changes, durable ({claimed_by_none})"]
    )


def test_a_deselected_test_of_an_unclaimed_capability_counts_as_not_claimed(pytester: pytest.Pytester):
    on_plain(pytester, "--conformance-clause=STR-1", "-k", "refused", "--conformance-report=r.json")
    counts = clause_of(pytester.path / "r.json", "STR-1")["counts"]
    assert counts["not claimed"] > 1
    assert 0 < counts["passed"] + counts["not run"] < counts["not claimed"]


def test_a_capability_that_is_claimed_is_tested_and_its_refusal_does_not_apply(pytester: pytest.Pytester):
    result = suite_on(
        pytester, "--storage-backend=memory", "--conformance-clause=STR-1", "--conformance-report=r.json", "-v"
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*test_without_the_capability_* NOT APPLICABLE*", "  STR-1  passed *"])
    counts = clause_of(pytester.path / "r.json", "STR-1")["counts"]
    assert (counts["not claimed"], counts["not run"], counts["not applicable"] > 0) == (0, 0, True)


def test_claiming_a_capability_that_the_backend_does_not_declare_fails(pytester: pytest.Pytester):
    result = on_plain(pytester, "--conformance-clause=WFL-1", claimed="{'stream_events'}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["the adapter claims stream_events, which its `Backend.capabilities` lacks: *"])


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    "arguments", [("-k", "nothing_like_this"), ("--conformance-clause=STR-1", "-k", "refused_and")]
)
def test_a_run_that_tests_nothing_is_an_error(pytester: pytest.Pytester, workers: str, arguments: tuple[str, ...]):
    result = suite_on(pytester, "--storage-backend=memory", "-n", workers, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["nothing was tested: no test of the suite ran"])


def test_a_run_without_tests_of_the_suite_is_an_error_if_a_backend_is_chosen(pytester: pytest.Pytester):
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("--storage-backend=memory")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["nothing was tested: no test of the suite ran"])


@pytest.mark.parametrize("contract", ["1.2", "2.0", "0.9"])
def test_a_backend_built_for_another_contract_version_is_refused(pytester: pytest.Pytester, contract: str):
    result = on_plain(pytester, contract=contract)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: the storage backend 'plain' is built for the contract {contract}, but this suite *"]
    )


def test_an_unknown_clause_is_refused(pytester: pytest.Pytester):
    result = suite_on(pytester, "--storage-backend=memory", "--conformance-clause=WFL-77")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --conformance-clause=WFL-77 is no clause of the contract*"])
