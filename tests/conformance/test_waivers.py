"""Waivers: the file is checked strictly, and a waiver must be removed once its clause is kept."""

import re
from datetime import date
from pathlib import Path

import pytest

from aaow_storage_conformance.report.inventory import suite_tests
from aaow_storage_conformance.report.waivers import Waiver, matches, read_waivers

pytest_plugins = ["pytester"]

TESTS = {name: test.clauses for name, test in suite_tests().items()}
BROKEN = '''
"""A backend that deletes the sessions of a workflow with it."""

from aaow_storage import Backend, Capability, register_plugin
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory import MemoryAdapter
from aaow_storage_memory._stores import store_at
from aaow_storage_memory.plugin import temporary_store


class Cascading(MemoryAdapter):
    async def delete_workflow(self, id):
        for session in await self.list_sessions():
            if session.workflow_id == id:
                await self.delete_session(session.id)
        await super().delete_workflow(id)


class Plugin:
    @hookimpl
    def aaow_storage_backend(self):
        return Backend(
            name="broken",
            summary="<broken> & proud",
            create=lambda url=None: Cascading(store_at(url)),
            contract="1.1",
            capabilities={Capability.STREAM_EVENTS, Capability.CHANGES},
            temporary_store=temporary_store,
        )


register_plugin(Plugin())
'''
WAIVER = """
[[waiver]]
clause = "WFL-1"
reason = "Sessions go with their workflow, until the schema is changed."
expires = 2999-12-31
"""


@pytest.fixture
def broken(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(broken_backend=BROKEN)
    return pytester


def suite_on(pytester: pytest.Pytester, waivers: str, *arguments: str, backend: str = "broken") -> pytest.RunResult:
    (pytester.path / "waivers.toml").write_text(waivers)
    plugins = ["-p", "broken_backend"] if backend == "broken" else []
    options = [f"--storage-backend={backend}", "--storage-waivers=waivers.toml", "--conformance-clause=WFL-1"]
    suite = ["--pyargs", "aaow_storage_conformance", "-p", "no:cacheprovider"]
    return pytester.runpytest_subprocess(*plugins, *suite, *options, *arguments)


def test_without_a_waiver_the_broken_backend_fails(broken: pytest.Pytester):
    result = suite_on(broken, "")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not conformant: 6 of * clauses failed (OPS-8, WFL-1, SES-3, TOO-1, CHG-1, CON-1)*"])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_waived_clause_may_fail_and_is_reported_as_waived(broken: pytest.Pytester, workers: str):
    result = suite_on(broken, WAIVER, "-n", workers)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "  WFL-1  waived *",
            "waiver 1 (WFL-1) until 2999-12-31: Sessions go with their workflow, until the schema is changed.",
            "* passed, * waived*",
        ]
    )


def test_a_waiver_of_a_clause_that_is_kept_has_to_be_removed(pytester: pytest.Pytester):
    result = suite_on(pytester, WAIVER, backend="memory")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["waiver 1 (WFL-1) is not needed, because every test of it passed: remove it"])


def test_a_waiver_is_not_judged_by_a_run_that_leaves_out_its_tests(pytester: pytest.Pytester):
    result = suite_on(pytester, WAIVER, "-k", "not test_deleting_a_workflow", backend="memory")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*is not needed*")


def test_the_tests_of_an_expired_waiver_fail_and_name_it(broken: pytest.Pytester):
    result = suite_on(broken, WAIVER.replace("2999", "2001"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "The waiver of WFL-1 expired on 2001-12-31: Sessions go with their workflow*",
            "waiver 1 (WFL-1) expired on 2001-12-31: remove it",
            "not conformant: 6 of * clauses failed (OPS-8, WFL-1, SES-3, TOO-1, CHG-1, CON-1)*",
        ]
    )


def test_a_waiver_of_some_tests_covers_no_other(broken: pytest.Pytester):
    some = WAIVER + 'tests = ["test_a_deleted_*"]\n'
    named = WAIVER + 'tests = ["WorkflowTests.test_deleting_a_workflow_leaves_its_sessions_whole_without_its_id"]\n'
    outcomes = suite_on(broken, named).parseoutcomes()
    assert (outcomes["waived"], "failed" in outcomes) == (1, True)
    result = suite_on(broken, some)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *waiver 1 (WFL-1): 'test_a_deleted_[*]' in `tests` names no test of WFL-1*"])


def test_each_pattern_of_a_waiver_has_to_fail_somewhere(broken: pytest.Pytester):
    result = suite_on(broken, WAIVER + 'tests = ["test_deleting*", "test_saving_a_workflow_again_*"]\n')
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["waiver 1 (WFL-1) is not needed, because every test of it that 'test_saving_*' names passed: remove it"]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[waiver]\n", "is not TOML"),
        ("waivers = []\n", "has unknown keys, `waivers`; write each waiver as a table"),
        ("waiver = 7\n", "no list of tables"),
        (WAIVER.replace("WFL-1", "WFL-9"), r"waiver 1 \(WFL-9\): `clause` must be the id of a clause, such as WFL-1"),
        (WAIVER.replace('clause = "WFL-1"', ""), r"waiver 1 \(no clause\): `clause` must be"),
        (
            WAIVER.replace("reason", "why"),
            "has unknown keys, `why`; the keys are `clause`, `reason`, `expires`, `tests`",
        ),
        (WAIVER.replace('reason = "Sessions go', 'reason = "" # "'), "`reason` must say why"),
        (WAIVER.replace("expires = 2999-12-31", ""), "`expires` must be the last day"),
        (WAIVER.replace("2999-12-31", '"2999-12-31"'), "without quotes"),
        (WAIVER.replace("2999-12-31", "2999-12-31T00:00:00Z"), "`expires` must be the last day"),
        (WAIVER.replace("2999-12-31", "2999-02-31"), "is not TOML"),
        (WAIVER + "tests = 'test_*'", "`tests` must list patterns"),
        (WAIVER + WAIVER + "tests = ['test_nothing']", r"waiver 2 \(WFL-1\): 'test_nothing' in `tests` names no test"),
    ],
)
def test_a_wrong_file_is_refused_with_the_entry_and_what_to_write(tmp_path: Path, text: str, words: str):
    path = tmp_path / "waivers.toml"
    path.write_text(text)
    with pytest.raises(pytest.UsageError, match=f"^--storage-waivers={path}: .*{words}"):
        read_waivers(path, TESTS)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(pytest.UsageError, match=r"nowhere\.toml: cannot be read: No such file"):
        read_waivers(tmp_path / "nowhere.toml", TESTS)


def test_a_file_is_read_entry_by_entry(tmp_path: Path):
    path = tmp_path / "waivers.toml"
    path.write_text(WAIVER + WAIVER.replace("2999", "2001") + "tests = ['test_deleting*']\n")
    reason = "Sessions go with their workflow, until the schema is changed."
    first, second = read_waivers(path, TESTS)
    assert first == Waiver("WFL-1", reason, date(2999, 12, 31))
    assert second == Waiver("WFL-1", reason, date(2001, 12, 31), ("test_deleting*",), entry=2)
    assert (first.has_expired, second.has_expired) == (False, True)


def test_the_example_in_the_documentation_is_valid(tmp_path: Path):
    document = Path(__file__).parents[2] / "packages/aaow-storage/docs/conformance.md"
    (example,) = re.findall(r"```toml\n(\[\[waiver\]\]\n.*?)```", document.read_text(), re.DOTALL)
    (tmp_path / "waivers.toml").write_text(example)
    assert [each.clause for each in read_waivers(tmp_path / "waivers.toml", TESTS)] == ["QRY-5", "TXN-8"]


@pytest.mark.parametrize(
    ("pattern", "is_named"),
    [
        ("*", True),
        ("test_it", True),
        ("test_i?", True),
        ("Tests.test_it", True),
        ("Tests.*", True),
        ("test_it[a.b-[x]]", True),
        ("Tests.test_it[a.b*", True),
        ("test", False),
        ("est_it", False),
        ("test_it[a-b]", False),
        ("Other.test_it", False),
    ],
)
def test_a_pattern_names_a_test_with_or_without_its_class_and_parameters(pattern: str, is_named: bool):
    assert matches(pattern, "Tests.test_it[a.b-[x]]") is is_named
