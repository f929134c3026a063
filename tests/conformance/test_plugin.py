"""The pytest plugin, run in processes of its own: options, fixtures and seeds."""

import pytest

pytest_plugins = ["pytester"]

STRICT = """
[pytest]
addopts = --import-mode=importlib --strict-config --strict-markers
filterwarnings = error
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture(params=["strict", "auto"])
def project(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> pytest.Pytester:
    """A backend's own project, strict about everything."""
    pytester.makefile(".ini", pytest=STRICT.format(mode=request.param))
    return pytester


def suite_on(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--pyargs", "aaow_storage_conformance", "-p", "no:cacheprovider", *arguments)


def test_the_suite_runs_on_an_installed_backend_without_any_code(project: pytest.Pytester):
    result = suite_on(project, "--storage-backend=memory", "-k", "TestWorkflows")
    result.assert_outcomes(passed=4, deselected=result.parseoutcomes()["deselected"])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_a_backend_the_suite_says_which_are_installed(pytester: pytest.Pytester, workers: str):
    result = suite_on(pytester, "-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: choose the backend to test with --storage-backend=NAME; *: mariadb, memory, postgresql, sqlite"]
    )


def test_an_unknown_backend_is_refused_with_the_installed_ones(pytester: pytest.Pytester):
    result = suite_on(pytester, "--storage-backend=mongo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *'mongo'*memory, postgresql, sqlite*"])


def test_a_storage_url_without_a_placeholder_is_refused(pytester: pytest.Pytester):
    result = suite_on(pytester, "--storage-backend=sqlite", "--storage-url=file:shared.db")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --storage-url=file:shared.db needs {tmp_path} or {unique}*"])


def test_each_test_has_a_store_of_its_own_at_the_given_url(pytester: pytest.Pytester):
    result = suite_on(
        pytester,
        "--storage-backend=sqlite",
        "--storage-url=file:{tmp_path}/of this test.db",
        f"--basetemp={pytester.path / 'stores'}",
        "-k",
        "TestWorkflows",
    )
    result.assert_outcomes(passed=4, deselected=result.parseoutcomes()["deselected"])
    assert len(list((pytester.path / "stores").rglob("of this test.db"))) == 4


NOTED = """
from contextlib import nullcontext
from pathlib import Path

from aaow_storage import Backend, register_plugin
from aaow_storage.hookspecs import hookimpl
from aaow_storage_memory import MemoryAdapter


class Noted(MemoryAdapter):
    async def list_workflows(self, filter=None):
        Path("was asked").touch()
        return await super().list_workflows(filter)


class Plugin:
    @hookimpl
    def aaow_storage_backend(self):
        return Backend(
            name="noted",
            summary="Leaves a file behind.",
            create=lambda url=None: Noted(),
            temporary_store=lambda folder: nullcontext("unused"),
        )


register_plugin(Plugin())
"""


def test_random_histories_use_the_backend_of_storage_model(pytester: pytest.Pytester):
    pytester.makeconftest(NOTED)
    result = suite_on(pytester, "--storage-backend=memory", "--storage-model=noted", "-k", "test_a_random_history_goes")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])
    assert (pytester.path / "was asked").exists()


def test_a_model_without_temporary_stores_is_refused(pytester: pytest.Pytester):
    pytester.makeconftest(NOTED.replace('            temporary_store=lambda folder: nullcontext("unused"),\n', ""))
    result = suite_on(pytester, "--storage-backend=memory", "--storage-model=noted")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --storage-model=noted: the backend has no temporary stores; name another backend, such as memory"]
    )


def test_a_backend_subclasses_the_suite_in_its_own_tests(project: pytest.Pytester):
    project.makeconftest(
        """
        import pytest

        @pytest.fixture
        def storage_backend():
            return "memory"

        @pytest.fixture
        def storage_options():
            return {"stream_events": False}
        """
    )
    project.makepyfile(
        """
        from aaow_storage import Capability
        from aaow_storage_conformance import ExecutionTests, WorkflowTests, clause, lacks

        class TestWorkflows(WorkflowTests):
            pass

        class TestExecutions(ExecutionTests):
            @clause("STR-1")
            @lacks(Capability.STREAM_EVENTS)
            async def test_something_of_its_own(self, storage, store):
                assert storage.capabilities == {Capability.CHANGES, Capability.WRITERS_WAIT}
                assert store.capabilities == storage.capabilities
                assert store.backend.name == "memory"
        """
    )
    result = project.runpytest_subprocess("-m", "not slow", "-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "* NOT CLAIMED *",
            "*storage contract 1.1: memory*",
            "incomplete: * clauses did not run*",
        ]
    )


def test_a_project_without_a_backend_gets_a_usage_error(pytester: pytest.Pytester):
    pytester.makepyfile("from aaow_storage_conformance import StateTests\n\nclass TestStates(StateTests): pass")
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: choose the backend to test with --storage-backend=NAME*"])


@pytest.mark.new_interpreter
def test_a_project_that_does_not_use_the_suite_runs_as_without_the_plugin(project: pytest.Pytester):
    project.makepyfile("def test_nothing(): pass")
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=1)


@pytest.mark.new_interpreter
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_in_an_empty_folder_warns_of_nothing_and_leaves_nothing_there(pytester: pytest.Pytester, workers: str):
    chosen = "TestWorkflows or (random_filters and list_workflows)"
    result = suite_on(pytester, "--storage-backend=sqlite", "-k", chosen, "-n", workers, "-W", "error")
    assert result.ret == pytest.ExitCode.OK
    assert result.stderr.str() == ""
    result.stdout.no_fnmatch_line("*warning*")
    assert {path.name for path in pytester.path.iterdir()} <= {"runpytest-0", "runpytest-current", "stdout", "stderr"}


def test_the_seed_is_printed_and_is_in_the_command_that_runs_the_same_again(pytester: pytest.Pytester):
    result = suite_on(pytester, "--storage-backend=memory", "-k", "TestWorkflows")
    header = next(line for line in result.outlines if line.startswith("storage contract 1.1: memory "))
    seed = header.rpartition("=")[2]
    assert int(seed) >= 0
    result.stdout.fnmatch_lines([f"to run the same again: pytest * --conformance-seed={seed}"])


def test_every_worker_draws_the_same_random_values_from_a_seed(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest
        from aaow_storage_conformance.data.seed import rng_for

        @pytest.mark.parametrize("number", range(4))
        def test_chance(number):
            assert rng_for("here").random() == rng_for("here").random() != rng_for("there").random()
            with open(f"{number}.txt", "w") as file:
                file.write(str(rng_for("here").random()))
        """
    )

    def drawn(workers: str, *options: str) -> str:
        pytester.runpytest_subprocess("-n", workers, *options).assert_outcomes(passed=4)
        (value,) = {path.read_text() for path in pytester.path.glob("?.txt")}
        return value

    with_seed_7 = [drawn("0", "--conformance-seed=7"), drawn("2", "--conformance-seed=7")]
    others = [drawn("0", "--conformance-seed=8"), drawn("0"), drawn("0"), drawn("2"), drawn("2")]
    assert with_seed_7[0] == with_seed_7[1]
    assert len({*with_seed_7, *others}) == 1 + len(others)
