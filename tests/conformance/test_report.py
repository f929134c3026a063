"""The report: its verdict, its files, and the comparison of two reports."""

import copy
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from aaow_storage import Backend, Capability
from aaow_storage_conformance import CLAUSES, CONTRACT_VERSION, Clause, Level, compare, registry_digest
from aaow_storage_conformance.report.html import render_page
from aaow_storage_conformance.report.report import Report, command_of
from aaow_storage_conformance.report.results import Outcome, Result, Results, TestResult, Verdict, merge_results

pytest_plugins = ["pytester"]


def results(outcomes: Mapping[str, Outcome] | None = None, **fields: Any) -> Results:
    """Make the results of a run in which one test of each clause passed, but for those that are named."""
    outcomes = outcomes or {}
    return merge_results(
        TestResult(
            name=f"Tests.test_{name}[<b>&]",
            clauses=(name,),
            outcome=outcomes.get(name, Outcome.PASSED),
            **(fields if name in outcomes else {}),
        )
        for name in CLAUSES
    )


def report(of: Results) -> Report:
    backend = Backend(name="sample", summary="<script>alert(1)</script>", create=lambda url=None: None, contract="1.1")
    return Report(backend=backend, claimed=["durable"], results=of, seed=7, command="pytest --x='<y>'")


def test_a_backend_is_conformant_if_every_clause_ran_and_passed():
    found = results()
    assert found.verdict is Verdict.CONFORMANT
    assert found.sentence == (
        f"conformant: all {len(CLAUSES)} clauses of the storage contract 1.1 that bind this store passed"
    )


def test_a_clause_of_an_unclaimed_capability_does_not_bind():
    found = results({"STR-1": Outcome.NOT_CLAIMED})
    assert found.verdict is Verdict.CONFORMANT
    assert f"all {len(CLAUSES) - 1} clauses" in found.sentence
    assert found.sentence.endswith("; not claimed: stream_events (STR-1)")


@pytest.mark.parametrize(
    ("outcomes", "slow", "verdict", "words"),
    [
        ({"REC-1": Outcome.FAILED}, False, Verdict.NOT_CONFORMANT, r"1 of \d+ clauses failed \(REC-1\)"),
        ({"REC-1": Outcome.WAIVED}, False, Verdict.NOT_CONFORMANT, r"1 of \d+ clauses waived \(REC-1\)"),
        ({"REC-1": Outcome.NOT_RUN}, False, Verdict.INCOMPLETE, r"1 of \d+ clauses did not run"),
        ({"REC-1": Outcome.NOT_RUN}, True, Verdict.QUICK, r"1 of \d+ clauses did not run"),
        ({"REC-1": Outcome.NOT_CLAIMED}, False, Verdict.INCOMPLETE, r"1 of \d+ clauses did not run"),
        (dict.fromkeys(CLAUSES, Outcome.NOT_RUN), True, Verdict.NOTHING, "no test of the suite ran"),
        (dict.fromkeys(CLAUSES, Outcome.NOT_CLAIMED), False, Verdict.NOTHING, "no test of the suite ran"),
    ],
)
def test_the_verdict_follows_the_worst_result_of_a_clause(outcomes: Any, slow: bool, verdict: Verdict, words: str):
    found = results(outcomes, is_slow=slow)
    assert found.verdict is verdict
    assert re.fullmatch(f"{verdict}: {words}", found.sentence)


def test_a_failure_outweighs_what_did_not_run_and_the_sentence_names_both():
    found = results({"REC-1": Outcome.FAILED, "REC-2": Outcome.NOT_RUN})
    assert found.verdict is Verdict.NOT_CONFORMANT
    assert re.search(r"failed \(REC-1\); 1 of \d+ clauses did not run$", found.sentence)


def test_many_failures_are_counted_and_not_all_named():
    names = list(CLAUSES)[:10]
    sentence = results(dict.fromkeys(names, Outcome.FAILED)).sentence
    assert f"10 of {len(CLAUSES)} clauses failed ({', '.join(names[:8])} and 2 more)" in sentence


def test_a_clause_of_which_one_test_did_not_run_is_incomplete():
    whole = [test for each in results().clauses for test in each.tests]
    unrun = TestResult(name="Tests.test_long", clauses=("REC-1",), is_slow=True)
    found = merge_results([*whole, unrun])
    assert found.having(Result.INCOMPLETE) == ["REC-1"]
    assert found.verdict is Verdict.QUICK
    assert found.sentence == f"quick profile: 1 of {len(CLAUSES)} clauses ran without their slow tests"
    assert merge_results([*whole, attrs.evolve(unrun, is_slow=False)]).verdict is Verdict.INCOMPLETE


def test_a_backend_of_an_older_contract_is_held_to_that():
    tests = [test for each in results().clauses for test in each.tests]
    outcomes = {"1.0": Outcome.PASSED, "1.1": Outcome.NOT_CLAIMED}
    found = merge_results(
        [attrs.evolve(test, outcome=outcomes[CLAUSES[test.clauses[0]].since]) for test in tests], "1.0"
    )
    later = [name for name, clause in CLAUSES.items() if clause.since == "1.1"]
    assert found.having(Result.NOT_CLAIMED) == [name for name in later if CLAUSES[name].level is Level.MUST]
    assert found.verdict is Verdict.CONFORMANT
    older = len([clause for clause in CLAUSES.values() if clause.since == "1.0" and clause.level is Level.MUST])
    assert found.sentence == (
        f"conformant: all {older} clauses of the storage contract 1.0 that bind this store passed; "
        f"later than the contract 1.0 that it was built for: {', '.join(later[:8])} and {len(later) - 8} more"
    )


def test_a_failure_of_a_backend_of_an_older_contract_counts_all_the_same():
    tests = [test for each in results({"REC-1": Outcome.FAILED}).clauses for test in each.tests]
    found = merge_results(tests, "1.0")
    assert (found.verdict, found.having(Result.FAILED)) == (Verdict.NOT_CONFORMANT, ["REC-1"])


def test_the_page_and_a_comparison_say_to_which_contract_a_backend_is_held(tmp_path: Path, capsys: Any):
    documents = []
    for version in ("1.0", "1.1"):
        backend = Backend(name="sample", summary="for tests", create=lambda url=None: None, contract=version)
        documents.append(Report(backend=backend, claimed=[], results=results(), seed=7, command="pytest").document())
    assert "<h1>sample: storage contract 1.0</h1>" in render_page(documents[0])
    assert "the backend was built for 1.0, and is held to that" in render_page(documents[0])
    paths = [written(tmp_path / f"{number}.json", document) for number, document in enumerate(documents)]
    assert compare.main(paths) == 0
    assert "the backends are held to different contracts: 1.0 and 1.1" in capsys.readouterr().out


def test_the_worst_of_several_results_of_a_test_counts():
    each = [TestResult(name="Tests.test", clauses=("REC-1",), outcome=outcome) for outcome in Outcome]
    assert merge_results(each).tests["Tests.test"].outcome is Outcome.FAILED
    assert merge_results(each[::-1]).tests["Tests.test"].outcome is Outcome.FAILED


def test_a_failed_should_clause_is_named_and_does_not_change_the_verdict(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(CLAUSES, "REC-1", Clause("REC-1", "It should.", level=Level.SHOULD))
    found = results({"REC-1": Outcome.FAILED})
    assert found.verdict is Verdict.CONFORMANT
    assert found.sentence.endswith("; SHOULD clauses failed: REC-1")


def test_a_clause_passes_without_the_tests_that_are_for_another_capability():
    tests = [
        TestResult(name="Tests.test_one", clauses=("OPS-1",), outcome=Outcome.PASSED),
        TestResult(name="Tests.test_two", clauses=("OPS-1",), outcome=Outcome.NOT_CLAIMED),
        TestResult(name="Tests.test_three", clauses=("OPS-1",), outcome=Outcome.NOT_APPLICABLE),
    ]
    assert merge_results(tests).having(Result.PASSED) == ["OPS-1"]


def test_the_json_says_what_was_tested_where_and_how():
    document = json.loads(json.dumps(report(results({"REC-1": Outcome.FAILED}, detail="boom")).document()))
    assert document["contract"] == {"version": CONTRACT_VERSION, "digest": registry_digest()}
    assert document["environment"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert document["backend"]["contract"] == "1.1"
    assert (document["seed"], document["verdict"]) == (7, "not conformant")
    first = document["clauses"][0]
    assert (first["id"], first["result"], first["level"], first["since"]) == ("REC-1", "failed", "MUST", "1.0")
    assert first["command"] == "pytest --x='<y>' --conformance-clause=REC-1"
    assert document["tests"][first["tests"][0]]["detail"] == "boom"
    assert [each["id"] for each in document["clauses"]] == list(CLAUSES)


def test_the_html_page_loads_nothing_and_escapes_everything():
    html = render_page(report(results({"REC-1": Outcome.FAILED}, detail="<img src=x>")).document())
    assert not re.search(r"<script|<img|<link|<iframe|\bsrc=|@import|url\(|https?:", html.replace("&lt;img src=x", ""))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "&lt;img src=x&gt;" in html
    assert "Tests.test_REC-1[&lt;b&gt;&amp;]" in html
    assert all(f'id="{name}"' in html for name in CLAUSES)


@pytest.mark.parametrize("outcome", Outcome)
def test_the_page_has_a_colour_for_every_outcome(outcome: Outcome):
    assert f">{outcome}</span>" in render_page(report(results({"STR-1": outcome})).document())


def test_the_command_to_run_again_has_the_seed_and_no_password():
    arguments = ["--storage-url=pg://ann:secret@db/{unique}", "--conformance-report", "r.json", "-k", "a b"]
    command = command_of([*arguments, "--conformance-seed=1", "--conformance-report=r.html"], 7)
    assert command == "pytest '--storage-url=pg://ann:***@db/{unique}' -k 'a b' --conformance-seed=7"


def written(path: Path, document: dict[str, Any]) -> str:
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def good() -> dict[str, Any]:
    return report(results()).document()


@pytest.fixture
def bad() -> dict[str, Any]:
    return report(results({"REC-2": Outcome.FAILED, "APR-1": Outcome.NOT_RUN})).document()


def test_two_reports_that_say_the_same_do_not_differ(good: dict[str, Any], tmp_path: Path, capsys: Any):
    path = written(tmp_path / "good.json", good)
    assert compare.main([path, path]) == 0
    assert "no clause differs" in capsys.readouterr().out


def test_what_got_worse_is_told_first_and_is_the_exit_status(good: Any, bad: Any, tmp_path: Path, capsys: Any):
    better = next(each for each in good["clauses"] if each["id"] == "REC-1")
    better["result"] = "waived"
    assert compare.main([written(tmp_path / "good.json", good), written(tmp_path / "bad.json", bad)]) == 1
    output = capsys.readouterr().out
    places = [output.index(text) for text in ("worse:", "REC-2  passed -> failed", "Tests.test_REC-2[<b>&] failed")]
    places += [output.index(text) for text in ("APR-1  passed -> not run", "better:", "REC-1  waived -> passed")]
    assert places == sorted(places)


def test_comparing_with_a_better_report_exits_with_0(good: Any, bad: Any, tmp_path: Path, capsys: Any):
    assert compare.main([written(tmp_path / "bad.json", bad), written(tmp_path / "good.json", good)]) == 0
    assert "REC-2  failed -> passed" in capsys.readouterr().out


def test_a_failed_clause_is_worse_with_one_more_failing_test(bad: dict[str, Any]):
    more = copy.deepcopy(bad)
    clause = next(each for each in more["clauses"] if each["id"] == "REC-2")
    for document, outcome in ((bad, "passed"), (more, "failed")):
        document["tests"]["Tests.test_more"] = {"outcome": outcome, "duration_s": 0, "detail": ""}
    clause["tests"].append("Tests.test_more")
    (change,) = compare.compare(bad, more)
    assert (change.clause, change.failing, change.is_worse) == ("REC-2", ("Tests.test_more",), True)


def test_added_and_removed_clauses_are_listed_and_are_not_worse(good: Any, bad: Any):
    old, new = copy.deepcopy(good), copy.deepcopy(good)
    del old["clauses"][0], new["clauses"][-1]
    assert [(each.clause, each.old, each.new, each.is_worse) for each in compare.compare(old, new)] == [
        ("REC-1", None, Result.PASSED, False),
        ("DUR-1", Result.PASSED, None, False),
    ]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"format": 99}'])
def test_comparing_a_file_that_is_no_report_exits_with_2(tmp_path: Path, text: str | None, capsys: Any):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as caught:
        compare.main([str(path), str(path)])
    assert caught.value.code == 2
    assert str(path) in capsys.readouterr().err


def suite_on(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    suite = ["--pyargs", "aaow_storage_conformance", "-p", "no:cacheprovider", "--storage-backend=memory"]
    return pytester.runpytest_subprocess(*suite, "-k", "TestWorkflows or TestStreams", *arguments)


def test_json_and_html_are_written_and_are_the_same_with_workers(pytester: pytest.Pytester):
    alone = suite_on(pytester, "--conformance-report=new/one.json", "--conformance-seed=7")
    shared = suite_on(pytester, "--conformance-report=two.html", "--conformance-seed=7", "-n", "2")
    assert alone.ret == shared.ret == pytest.ExitCode.OK
    one, two = (json.loads((pytester.path / name).read_text()) for name in ("new/one.json", "two.json"))
    assert "storage contract 1.1" in (pytester.path / "new/one.html").read_text()
    assert (pytester.path / "two.html").exists()
    for name in ("backend", "contract", "environment", "seed", "sentence", "suite", "verdict"):
        assert one[name] == two[name]
    assert one["backend"]["distribution"] == "aaow-storage-memory"
    assert one["backend"]["capabilities"] == [Capability.CHANGES, Capability.STREAM_EVENTS, Capability.WRITERS_WAIT]
    assert {name: test["outcome"] for name, test in one["tests"].items()} == {
        name: test["outcome"] for name, test in two["tests"].items()
    }
    assert one["verdict"] == "incomplete"
    assert any(test["outcome"] == "passed" for test in one["tests"].values())
    assert any(test["duration_s"] > 0 for test in one["tests"].values())


def test_a_test_that_is_skipped_by_a_project_did_not_run(pytester: pytest.Pytester):
    pytester.makepyfile(
        plugin_of_project="""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if "attached" in item.name:
                    item.add_marker(pytest.mark.skip(reason="not today"))
                if "goes_on" in item.name:
                    item.add_marker(pytest.mark.xfail(reason="no wish to", run=False))
        """
    )
    suite_on(pytester, "-p", "plugin_of_project", "--conformance-report=r.json")
    tests = json.loads((pytester.path / "r.json").read_text())["tests"]
    skipped = tests["WorkflowTests.test_saving_a_workflow_again_keeps_its_sessions_attached"]
    assert (skipped["outcome"], "not today" in skipped["detail"]) == ("not run", True)
    assert tests["WorkflowTests.test_a_session_of_a_deleted_workflow_goes_on"]["outcome"] == "failed"


def test_a_test_that_a_project_overrides_did_not_run(pytester: pytest.Pytester):
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef storage_backend(): return 'memory'")
    pytester.makepyfile(
        """
        from aaow_storage_conformance import WorkflowTests, clause

        class TestWorkflows(WorkflowTests):
            @clause("WFL-1")
            def test_a_session_of_a_deleted_workflow_goes_on(self, store):
                assert True
        """
    )
    result = pytester.runpytest_subprocess("--conformance-report=r.json")
    assert result.ret == pytest.ExitCode.OK
    tests = json.loads((pytester.path / "r.json").read_text())["tests"]
    assert tests["WorkflowTests.test_a_session_of_a_deleted_workflow_goes_on"]["outcome"] == "not run"
    assert tests["WorkflowTests.test_saving_a_workflow_again_keeps_its_sessions_attached"]["outcome"] == "passed"


def test_a_worker_that_dies_fails_the_clauses_of_its_test(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import os, pytest
        from aaow_storage_conformance import clause

        @clause("WFL-1")
        @pytest.mark.parametrize("number", range(3))
        async def test_it(storage, number):
            if number == 1:
                os._exit(9)
        """
    )
    result = pytester.runpytest_subprocess("--storage-backend=memory", "-n", "2", "--conformance-report=r.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    clauses = json.loads((pytester.path / "r.json").read_text())["clauses"]
    assert next(each for each in clauses if each["id"] == "WFL-1")["counts"]["failed"] == 1


def test_a_failure_names_the_clauses_that_it_breaks(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        from aaow_storage_conformance import clause

        @clause("WFL-1", "TXN-5")
        async def test_it(storage):
            assert await storage.count_workflows() == 1
        """
    )
    result = pytester.runpytest_subprocess("--storage-backend=memory")
    result.stdout.fnmatch_lines(
        [
            "*storage contract*",
            f"WFL-1 (MUST): {CLAUSES['WFL-1'].sentence}",
            f"TXN-5 (MUST): {CLAUSES['TXN-5'].sentence}",
        ]
    )


def test_a_report_has_to_be_json_or_html(pytester: pytest.Pytester):
    result = suite_on(pytester, "--conformance-report=report.xml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --conformance-report=report.xml must end in .json or .html"])


def test_reports_of_two_backends_in_one_run_are_written_apart(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest
        from aaow_storage_conformance import WorkflowTests

        class TestMemory(WorkflowTests):
            @pytest.fixture
            def storage_backend(self): return "memory"

        class TestSqlite(WorkflowTests):
            @pytest.fixture
            def storage_backend(self): return "sqlite"
        """
    )
    result = pytester.runpytest_subprocess("--conformance-report=r.json")
    assert result.ret == pytest.ExitCode.OK
    names = [
        json.loads((pytester.path / f"r-{name}.json").read_text())["backend"]["name"] for name in ("memory", "sqlite")
    ]
    assert names == ["memory", "sqlite"]
