"""Run the tests of the suite one by one on a broken backend, until one fails."""

import asyncio
import functools
import inspect
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from _pytest.outcomes import OutcomeException, Skipped

from aaow_storage import (
    Backend,
    StorageAdapter,
    available_backends,
    register_plugin,
    unregister_plugin,
)
from aaow_storage.hookspecs import hookimpl
from aaow_storage_conformance._contract import CLAUSES, claims_of, needed_version, parsed
from aaow_storage_conformance.broken._catalogue import BROKEN, BrokenBackend
from aaow_storage_conformance.harness.store import Store
from aaow_storage_conformance.harness.watchdog import TEST_S, Limits, Watchdog, watch_running_loop, watching
from aaow_storage_conformance.suite.concurrency import ConcurrencyTests
from aaow_storage_conformance.suite.differential import DifferentialTests
from aaow_storage_conformance.suite.model import ModelTests

RANDOM = (DifferentialTests, ModelTests)
LARGE = frozenset(
    {
        "test_a_condition_takes_ten_thousand_values",
        "test_a_document_of_eight_mebibytes_comes_back",
        "test_a_filter_may_compare_with_long_texts",
        "test_a_list_of_many_records_of_one_session_is_whole",
        "test_a_list_read_while_all_of_it_is_replaced_is_that_of_one_instant",
        "test_a_state_of_a_thousand_nodes_comes_back",
        "test_a_thousand_tasks_write_and_read_at_once",
        "test_an_input_may_have_a_message_of_eight_mebibytes",
        "test_an_input_may_have_ten_thousand_messages",
        "test_cancelled_tasks_leave_no_task_and_no_thread_behind",
        "test_each_of_many_waits_ends_with_the_decision_on_its_request",
        "test_every_read_shows_each_change_that_another_handle_made",
        "test_ids_of_any_characters_stay_apart",
        "test_json_values_come_back_with_their_types",
        "test_pollers_by_sequence_and_watchers_miss_nothing_of_many_writers",
        "test_readers_miss_nothing_of_four_processes_one_of_which_is_killed",
        "test_readers_see_each_transaction_whole_or_not_at_all",
        "test_sums_of_amounts_do_not_drift",
        "test_the_largest_filter_finds_what_it_describes",
        "test_what_becomes_of_a_document_changes_none_that_is_like_it",
        "test_what_was_sent_and_answered_may_be_of_eight_mebibytes",
        "test_when_one_of_four_writing_processes_is_killed_the_others_go_on",
        "test_wide_amounts_compare_and_sort_to_the_last_digit",
    }
)
"""The tests that take tens of times as long as most; those with many tasks and processes take as long."""


class RunnerError(Exception):
    """A test could not be run as pytest would run it. This says nothing about the backend."""


@attrs.frozen
class ContractTest:
    """One test of the suite, with one set of parameters."""

    owner: type
    name: str
    marks: tuple[pytest.Mark, ...]
    arguments: dict[str, Any]
    number: int
    """The position of its parameters among those of the test."""

    @property
    def clauses(self) -> set[str]:
        """The ids of the clauses that it checks."""
        return {clause for mark in self.marks if mark.name == "clause" for clause in mark.args}

    @property
    def is_slow(self) -> bool:
        """Whether it takes seconds."""
        return any(mark.name == "slow" for mark in self.marks)

    def suits(self, capabilities: frozenset[str]) -> bool:
        """Say whether it is for an adapter with those capabilities."""
        needed = {mark.args[0] for mark in self.marks if mark.name == "requires_capability"}
        unwanted = {mark.args[0] for mark in self.marks if mark.name == "lacks_capability"}
        return needed <= capabilities and not unwanted & capabilities

    def is_for(self, store: Store) -> bool:
        """Say whether it is for a store of that backend."""
        has_all = store.backend.newer_schema is not None or all(
            each.name != "needs_newer_schema" for each in self.marks
        )
        is_known = parsed(needed_version(self.marks)) <= parsed(store.backend.contract)
        return has_all and is_known and self.suits(claims_of(store.capabilities, store.backend.contract))


@attrs.frozen
class Verdict:
    """The result of the tests of one clause on a broken backend.

    Attributes:
        test: the name of the first test that failed, None if all passed.
        failure: how it failed, in one line.
    """

    clause: str
    test: str | None = None
    failure: str = ""


@attrs.frozen(eq=False)
class BrokenPlugin:
    """Provides a broken backend under the name `broken`, in this process and, pickled, in others."""

    broken: BrokenBackend
    reference: str

    @hookimpl
    def aaow_storage_backend(self) -> Backend:
        """Describe the broken backend."""
        reference = available_backends()[self.reference]
        return Backend(
            name="broken",
            summary=self.broken.mistake,
            create=self.create,
            options=reference.options,
            capabilities=reference.capabilities,
            temporary_store=reference.temporary_store,
            newer_schema=reference.newer_schema,
            maintenance=reference.maintenance,
            contract=reference.contract,
        )

    def create(self, url: str | None = None, **options: Any) -> StorageAdapter:
        """Make a broken adapter."""
        return self.broken.create(available_backends()[self.reference], url, **options)


def contract_tests() -> Iterator[ContractTest]:
    """List the tests of the suite, those that take longer last, and each with its first parameters before the second.

    So a broken backend runs few tests until one fails: another test is more likely to than the same with other values.
    """
    yield from _sorted_tests()


@functools.cache
def _sorted_tests() -> list[ContractTest]:
    return sorted(_tests(), key=_cost)


def _cost(test: ContractTest) -> tuple[bool, bool, bool, int]:
    """Sort random tests after all others, and those that take up to a second after quick ones."""
    is_large = issubclass(test.owner, ConcurrencyTests) or test.name in LARGE
    return issubclass(test.owner, RANDOM), test.is_slow, is_large, test.number


def reference_backends() -> list[Backend]:
    """List the installed backends that can be broken: those that load, and make stores to test on."""
    return [each for each in available_backends().values() if each.problem is None and each.temporary_store is not None]


def reference_backend_for(broken: BrokenBackend, preferred: str = "memory") -> Backend | None:
    """Return the backend to break: the preferred one if it suits, else SQLite, else any other, else None."""
    suitable = {reference.name: reference for reference in reference_backends() if broken.suits(reference)}
    return suitable.get(preferred) or suitable.get("sqlite") or next(iter(suitable.values()), None)


def verdicts(broken: BrokenBackend, reference: Backend) -> list[Verdict]:
    """Run the tests of each clause that a backend breaks."""
    with _registered(BrokenPlugin(broken, reference.name)) as plugin:
        return [_verdict(clause, reference, plugin) for clause in broken.clauses]


def failures(reference: Backend, layer: type[StorageAdapter], tests: Iterable[ContractTest]) -> list[str]:
    """Run tests on a backend that breaks nothing, made as broken ones are, and describe the failures."""
    unbroken = BrokenBackend(layer.__name__, "Gets nothing wrong.", (), layer)
    with _registered(BrokenPlugin(unbroken, reference.name)) as plugin:
        outcomes = [(test, _failure(test, reference, plugin)) for test in tests]
    return [f"{test.name}: {failure}" for test, failure in outcomes if failure is not None]


@contextmanager
def _registered(plugin: BrokenPlugin) -> Iterator[BrokenPlugin]:
    register_plugin(plugin)
    try:
        yield plugin
    finally:
        unregister_plugin(plugin)


def _verdict(clause: str, reference: Backend, plugin: BrokenPlugin) -> Verdict:
    for test in sorted(contract_tests(), key=lambda test: test.name not in plugin.broken.caught_by):
        if clause in test.clauses:
            failure = _failure(test, reference, plugin)
            if failure is not None:
                return Verdict(clause, test.name, failure)
    return Verdict(clause)


def _failure(test: ContractTest, reference: Backend, plugin: BrokenPlugin) -> str | None:
    """Run a test on an empty store, and say how it failed, or None if it passed or is not for such a store.

    Raises:
        RunnerError: it needs a fixture that is not known here.
    """
    assert reference.temporary_store is not None
    limits = Limits(plugin.broken.test_s).for_a_test(is_slow=test.is_slow and plugin.broken.test_s == TEST_S)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        reference.temporary_store(Path(folder)) as url,
    ):
        store = Store(available_backends()["broken"], url, plugins=(plugin,))
        if not test.is_for(store):
            return None
        watch = Watchdog(test.name, limits)
        try:
            with watching(watch), watch.phase("call"):
                asyncio.run(_run(test, store, Path(folder)))
        except RunnerError:
            raise
        except Skipped:
            return None
        except (Exception, OutcomeException) as error:  # noqa: BLE001 - a broken backend may raise anything
            first_line, *_ = str(error).strip().splitlines() or [""]
            return f"{type(error).__name__}: {first_line}"
    return None


async def _run(test: ContractTest, store: Store, folder: Path) -> None:
    method = getattr(test.owner(), test.name)
    wanted = inspect.signature(method).parameters
    watch_running_loop()
    try:
        async with AsyncExitStack() as stack:
            fixtures = {"store": store, "model_store": None, "tmp_path": folder, **test.arguments}
            if "storage" in wanted:
                fixtures["storage"] = await stack.enter_async_context(store.open())
            if unknown := set(wanted) - set(fixtures):
                raise RunnerError(f"{test.name} needs the fixtures {', '.join(sorted(unknown))}")
            outcome = method(**{name: fixtures[name] for name in wanted})
            if inspect.isawaitable(outcome):
                await outcome
    finally:
        await store.close()


def _tests() -> Iterator[ContractTest]:
    from aaow_storage_conformance import test_contract  # noqa: PLC0415 - its classes are for pytest to collect

    for owner in vars(test_contract).values():
        if inspect.isclass(owner) and owner.__name__.startswith("Test"):
            for name, function in inspect.getmembers(owner, inspect.isfunction):
                if name.startswith("test_"):
                    marks = [*getattr(owner, "pytestmark", []), *getattr(function, "pytestmark", [])]
                    for number, (arguments, more) in enumerate(_parameters(marks)):
                        yield ContractTest(owner, name, (*marks, *more), arguments, number)


def _parameters(marks: list[pytest.Mark]) -> Iterator[tuple[dict[str, Any], list[pytest.Mark]]]:
    """Expand `parametrize` into sets of arguments, each with its own marks."""
    axes = []
    for mark in marks:
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
            axis = []
            for case in mark.args[1]:
                values = getattr(case, "values", (case,)) if hasattr(case, "marks") else (case,)
                values = values[0] if len(names) > 1 and len(values) == 1 else values
                of_case = [each.mark if hasattr(each, "mark") else each for each in getattr(case, "marks", ())]
                axis.append((dict(zip((name.strip() for name in names), values, strict=True)), of_case))
            axes.append(axis)
    for combination in itertools.product(*axes):
        arguments: dict[str, Any] = {}
        more: list[pytest.Mark] = []
        for values, of_case in combination:
            arguments |= values
            more += of_case
        yield arguments, more


def clauses_without_a_mistake() -> list[str]:
    """List the clauses that no broken backend breaks."""
    broken = {clause for each in BROKEN.values() for clause in each.clauses}
    return [clause for clause in CLAUSES if clause not in broken]
