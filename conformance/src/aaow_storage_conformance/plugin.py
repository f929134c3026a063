"""The pytest plugin: options, markers, and the fixtures `store` and `storage`.

In its conftest a backend's own test suite overrides the fixtures that they are made from: `storage_backend` (a name)
and, if needed, `storage_url` and `storage_options`.
"""

import secrets
import shutil
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis.configuration
import pytest
import pytest_asyncio
from _pytest.terminal import TerminalReporter

from aaow_storage import Backend, Capability, StorageAdapter, available_backends
from aaow_storage.authoring import redacted_url
from aaow_storage_conformance._contract import (
    CLAUSES,
    CONTRACT_VERSION,
    OF_ALL_BEFORE,
    claims_of,
    needed_version,
    parsed,
)
from aaow_storage_conformance.data.seed import set_seed
from aaow_storage_conformance.data.versions import set_tested_version
from aaow_storage_conformance.harness.leaks import find_leaks, open_resources, watched_folders
from aaow_storage_conformance.harness.phase_limits import TimeLimits
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.watchdog import (
    SLOW_FACTOR,
    TEST_S,
    Limits,
    cancellation_as_stall,
    watch_running_loop,
)
from aaow_storage_conformance.report.html import render_page
from aaow_storage_conformance.report.inventory import suite_tests
from aaow_storage_conformance.report.recorder import ATTRIBUTE, COLLECTED, HAS_FAILED, NOT_FOR_THIS_STORE, Recorder
from aaow_storage_conformance.report.report import Report, command_of, headline, write_json
from aaow_storage_conformance.report.results import Outcome
from aaow_storage_conformance.report.terminal import print_summary
from aaow_storage_conformance.report.waivers import read_waivers

PACKAGE = __name__.partition(".")[0]
MARKERS = (
    "clause(*ids): the clauses of the storage contract that the test checks",
    "lacks_capability(capability): the test is for stores that do not claim the capability",
    "needs_maintenance: the test is for backends with `Backend.maintenance`",
    "needs_newer_schema: the test is for backends with `Backend.newer_schema`",
    "requires_capability(capability): the test is for stores that claim the capability",
    "since_version(version): the test is for backends that were built for that version of the contract, or later",
    "slow: the test takes seconds",
)
RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()
REPORTS: pytest.StashKey[list[Report]] = pytest.StashKey()
CHECKED: pytest.StashKey[set[str]] = pytest.StashKey()
HYPOTHESIS_HOME: pytest.StashKey[Path] = pytest.StashKey()
SEEDS = 2**32
CONTROLLER_SEED = "aaow_storage_seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("aaow-storage conformance")
    group.addoption("--storage-backend", metavar="NAME", help="run the conformance suite on this installed backend")
    group.addoption(
        "--storage-url",
        metavar="URL",
        help="the store of each test, in place of the backend's temporary store; {tmp_path} stands for a new empty "
        "folder, {unique} for a unique name",
    )
    group.addoption(
        "--storage-model",
        metavar="NAME",
        help="compare random histories with this installed backend, in place of the memory backend",
    )
    group.addoption(
        "--storage-waivers",
        metavar="FILE",
        type=Path,
        help="a TOML file of clauses that the backend breaks, each with a reason and a last day",
    )
    group.addoption(
        "--conformance-report",
        metavar="FILE",
        type=Path,
        help="write the report as JSON and as HTML; FILE ends in .json or .html, and the other file is put beside it",
    )
    group.addoption(
        "--conformance-seed",
        metavar="N",
        type=int,
        help="the seed of everything random; reports name it",
    )
    group.addoption(
        "--storage-test-timeout",
        metavar="S",
        type=float,
        default=TEST_S,
        help=f"seconds that a test may take, {SLOW_FACTOR} times as many if it is slow; an operation may take a "
        f"quarter of that ({TEST_S:g})",
    )
    group.addoption(
        "--conformance-clause",
        metavar="ID",
        action="append",
        default=[],
        help="run only the tests of this clause; may be given several times",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register markers and plugins, and check the options; choose a seed for all workers if none is given."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    url, name, seed = (config.getoption(f"--{each}") for each in ("storage-url", "storage-backend", "conformance-seed"))
    if url is not None and "{tmp_path}" not in url and "{unique}" not in url:
        given = f"--storage-url={redacted_url(url)}"
        raise pytest.UsageError(f"{given} needs {{tmp_path}} or {{unique}} in it, because each test has its own store")
    if not (timeout := config.getoption("--storage-test-timeout")) > 0:
        raise pytest.UsageError(f"--storage-test-timeout={timeout:g} must be a number of seconds above 0")
    report = config.getoption("--conformance-report")
    if report is not None and report.suffix not in (".json", ".html"):
        raise pytest.UsageError(f"--conformance-report={report} must end in .json or .html")
    wanted = config.getoption("--conformance-clause")
    for each in wanted:
        if each not in CLAUSES:
            raise pytest.UsageError(f"--conformance-clause={each} is no clause of the contract, such as REC-1")
    if (model := config.getoption("--storage-model")) is not None and _backend(model).temporary_store is None:
        raise pytest.UsageError(
            f"--storage-model={model}: the backend has no temporary stores; name another backend, such as memory"
        )
    if name is not None:
        _backend(name)
    elif _names_the_suite(config):
        raise pytest.UsageError(no_backend_chosen())
    if seed is None:
        of_controller = getattr(config, "workerinput", {}).get(CONTROLLER_SEED)
        seed = secrets.randbelow(SEEDS) if of_controller is None else of_controller
        config.option.conformance_seed = seed
    set_seed(seed)
    if name is not None:
        _keep_the_folder_clean(config)
    waivers = config.getoption("--storage-waivers")
    clauses_by_test = {test: each.clauses for test, each in suite_tests().items()}
    recorder = Recorder(read_waivers(waivers, clauses_by_test) if waivers else [], frozenset(wanted), name)
    config.stash[RECORDER] = recorder
    config.pluginmanager.register(recorder, f"{PACKAGE}-recorder")
    config.pluginmanager.register(
        TimeLimits(Limits(timeout), lambda item: COLLECTED in item.stash), f"{PACKAGE}-time-limits"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send the seed to a worker of pytest-xdist."""
    node.workerinput[CONTROLLER_SEED] = node.config.getoption("--conformance-seed")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the files of hypothesis."""
    if HYPOTHESIS_HOME in config.stash:
        shutil.rmtree(config.stash[HYPOTHESIS_HOME], ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the backend and the seed."""
    name = config.getoption("--storage-backend")
    return headline(_backend(name), config.getoption("--conformance-seed")) if name is not None else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Skip a test that is not for a store with these capabilities; the report counts it as such."""
    store = getattr(item, "funcargs", {}).get("store")
    if isinstance(store, Store):
        needed = needed_version([*item.iter_markers()])
        if parsed(needed) > parsed(store.backend.contract):
            item.stash[NOT_FOR_THIS_STORE] = Outcome.NOT_CLAIMED
            pytest.skip(
                f"the test is for the contract {needed}, and the backend was built for {store.backend.contract}"
            )
        claims = claims_of(store.capabilities, store.backend.contract)
        for mark in item.iter_markers("requires_capability"):
            if mark.args[0] not in claims:
                item.stash[NOT_FOR_THIS_STORE] = Outcome.NOT_CLAIMED
                pytest.skip(f"the store does not claim the capability {mark.args[0]}")
        for mark in item.iter_markers("lacks_capability"):
            if mark.args[0] in claims:
                item.stash[NOT_FOR_THIS_STORE] = Outcome.NOT_APPLICABLE
                pytest.skip(f"the store claims the capability {mark.args[0]}")
        if item.get_closest_marker("needs_newer_schema") is not None and store.backend.newer_schema is None:
            item.stash[NOT_FOR_THIS_STORE] = Outcome.NOT_APPLICABLE
            pytest.skip("the backend has no `newer_schema`, which makes a store of a later release")
        if item.get_closest_marker("needs_maintenance") is not None and store.backend.maintenance is None:
            item.stash[NOT_FOR_THIS_STORE] = Outcome.NOT_APPLICABLE
            pytest.skip("the backend has no `maintenance` for the tools of operators")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Put the report together, and write it; a run that tested nothing, or keeps a waiver for nothing, fails."""
    config = session.config
    recorder = config.stash[RECORDER]
    if hasattr(config, "workerinput"):
        config.workeroutput[ATTRIBUTE] = recorder.for_the_controller()  # type: ignore[attr-defined]  # of pytest-xdist
        return
    chosen = config.getoption("--storage-backend") is not None
    if config.getoption("collectonly", default=False) or not (chosen or recorder.is_in_use):
        return
    all_results = recorder.results(lambda name: _backend(name).contract)
    problems = recorder.problems_of_waivers(all_results.values())
    reports = [
        Report(
            backend=_backend(name),
            claimed=recorder.claimed.get(name, []),
            results=results,
            seed=config.getoption("--conformance-seed"),
            command=command_of(config.invocation_params.args, config.getoption("--conformance-seed")),
            waivers=recorder.waivers,
            problems=problems,
            started_at=datetime.fromtimestamp(recorder.started_at_s, UTC),
            duration_s=time.time() - recorder.started_at_s,
        )
        for name, results in all_results.items()
    ]
    config.stash[REPORTS] = reports
    path: Path | None = config.getoption("--conformance-report")
    for report in reports if path is not None else ():
        assert path is not None
        stem = path.stem if len(reports) == 1 else f"{path.stem}-{report.backend.name}"
        document = report.document()
        write_json(document, path.with_name(f"{stem}.json"))
        path.with_name(f"{stem}.html").write_text(render_page(document), encoding="utf-8")
    ran = {test.outcome for results in all_results.values() for test in results.tests.values()}
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        if not ran & {Outcome.PASSED, Outcome.FAILED, Outcome.WAIVED}:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif problems:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print the report."""
    for report in config.stash.get(REPORTS, []):
        print_summary(terminalreporter, report)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run the suite without a backend; a worker of pytest-xdist cannot, and leaves it to the fixture."""
    chosen = config.getoption("--storage-backend") is not None
    if not chosen and not hasattr(config, "workerinput") and any(_takes_the_option(item) for item in items):
        raise pytest.UsageError(no_backend_chosen())


def _takes_the_option(item: pytest.Item) -> bool:
    """Return whether the test takes its backend from the option: nothing overrides the fixture."""
    info = getattr(item, "_fixtureinfo", None)
    definitions = getattr(info, "name2fixturedefs", {}).get("storage_backend", ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


def _names_the_suite(config: pytest.Config) -> bool:
    """Return whether the command line names this package, and no plugin overrides the fixture."""
    named = config.getoption("pyargs") and any(arg.partition(":")[0].split(".")[0] == PACKAGE for arg in config.args)
    others = (plugin for plugin in config.pluginmanager.get_plugins() if getattr(plugin, "__name__", None) != __name__)
    return named and not any(hasattr(plugin, "storage_backend") for plugin in others)


def no_backend_chosen() -> str:
    """Return the message that asks for a backend, with the installed ones."""
    usable = [name for name, backend in available_backends().items() if backend.problem is None]
    return f"choose the backend to test with --storage-backend=NAME; installed are: {', '.join(usable) or 'none'}"


@pytest.fixture
def storage_backend(request: pytest.FixtureRequest) -> str:
    """The name of the backend under test."""
    name: str | None = request.config.getoption("--storage-backend")
    if name is None:
        raise pytest.UsageError(no_backend_chosen())
    return name


@pytest.fixture
def storage_url(request: pytest.FixtureRequest, storage_backend: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a new empty store for the test."""
    template: str | None = request.config.getoption("--storage-url")
    if template is not None:
        yield template.replace("{tmp_path}", str(tmp_path)).replace("{unique}", uuid4().hex)
        return
    backend = _backend(storage_backend)
    if backend.temporary_store is None:
        raise pytest.UsageError(f"the backend {backend.name!r} has no temporary stores; pass --storage-url=URL")
    with backend.temporary_store(tmp_path) as url:
        yield url


@pytest.fixture
def storage_options() -> dict[str, Any]:
    """The options of every adapter; none unless overridden."""
    return {}


@pytest_asyncio.fixture(loop_scope="function")
async def store(
    request: pytest.FixtureRequest,
    storage_backend: str,
    storage_url: str | None,
    storage_options: dict[str, Any],
    tmp_path: Path,
) -> AsyncIterator[Store]:
    """A new empty store for the test; a test that passed but leaked resources fails at its end."""
    watch_running_loop()
    folders = watched_folders(storage_url, tmp_path)
    before = open_resources(folders)
    store = Store(_backend(storage_backend), storage_url, storage_options)
    set_tested_version(store.backend.contract)
    _check_claims(store, request.config.stash.setdefault(CHECKED, set()))
    yield store
    with cancellation_as_stall():
        await store.close()
    if not request.node.stash.get(HAS_FAILED, False) and (left := await find_leaks(before, folders)):
        pytest.fail("the test or the backend left behind:\n" + "\n".join(left), pytrace=False)


@pytest_asyncio.fixture(loop_scope="function")
async def storage(store: Store) -> AsyncIterator[StorageAdapter]:
    """An open adapter on the store."""
    with cancellation_as_stall():
        async with store.open() as adapter:
            yield adapter


@pytest_asyncio.fixture(loop_scope="function")
async def model_store(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Store | None]:
    """A new empty store of `--storage-model`; None if each history makes its own model in memory."""
    name: str | None = request.config.getoption("--storage-model")
    if name is None:
        yield None
        return
    backend = _backend(name)
    assert backend.temporary_store is not None
    with backend.temporary_store(tmp_path_factory.mktemp("model")) as url:
        model = Store(backend, url)
        if missing := store.capabilities - model.capabilities - {Capability.DURABLE, Capability.WRITERS_WAIT}:
            raise pytest.UsageError(
                f"--storage-model={name} lacks the capabilities {', '.join(missing)} of the backend under test"
            )
        yield model
        with cancellation_as_stall():
            await model.close()


def _backend(name: str) -> Backend:
    backends = available_backends()
    if name not in backends:
        raise pytest.UsageError(f"there is no storage backend {name!r}; {no_backend_chosen()}")
    if (problem := backends[name].problem) is not None:
        raise pytest.UsageError(f"the storage backend {name!r} cannot be used: {problem}")
    backend = backends[name]
    built_for, known = parsed(backend.contract), parsed(CONTRACT_VERSION)
    if built_for > known or built_for[0] != known[0]:
        raise pytest.UsageError(
            f"the storage backend {name!r} is built for the contract {backend.contract}, but this suite tests "
            f"{CONTRACT_VERSION}; install the version of {PACKAGE.replace('_', '-')} for that contract"
        )
    return backend


def _check_claims(store: Store, checked: set[str]) -> None:
    """Fail if adapters claim capabilities that their backend does not declare; checked once per set of options."""
    key = repr((store.backend.name, sorted(store.options.items())))
    if key not in checked:
        if undeclared := store.capabilities - store.backend.capabilities - set(OF_ALL_BEFORE):
            names = ", ".join(sorted(undeclared))
            pytest.fail(
                f"the adapter claims {names}, which its `Backend.capabilities` lacks: add or unclaim it",
                pytrace=False,
            )
        checked.add(key)


def _keep_the_folder_clean(config: pytest.Config) -> None:
    """Move the files of hypothesis to a temporary folder, and silence a warning of pytest-asyncio."""
    if not (config.rootpath / ".hypothesis").is_dir():
        config.stash[HYPOTHESIS_HOME] = Path(tempfile.mkdtemp(prefix="aaow-conformance-"))
        hypothesis.configuration.set_hypothesis_home_dir(config.stash[HYPOTHESIS_HOME])
    warnings.filterwarnings(
        "ignore", '.*"asyncio_default_fixture_loop_scope" is unset', pytest.PytestDeprecationWarning
    )
