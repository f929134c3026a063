"""Every clause of the contract has a test, and every test a clause."""

import importlib
import pkgutil
from typing import Any

import pytest

import aaow_storage_conformance
from aaow_storage_conformance import CLAUSES, clause, data, harness, report, test_contract
from aaow_storage_conformance import suite as suite_folder
from aaow_storage_conformance._contract import AREAS


def test_every_clause_has_a_test(suite: list[Any]):
    tested = {name for test in suite for name in test.clauses}
    assert [name for name in CLAUSES if name not in tested] == []


def test_every_test_has_a_clause(suite: list[Any]):
    assert [f"{test.owner.__name__}.{test.name}" for test in suite if not test.clauses] == []


def test_every_clause_that_every_backend_keeps_has_a_test_that_none_skips(suite: list[Any]):
    unconditional = {name for test in suite if test.suits(frozenset()) for name in test.clauses}
    everywhere = [name for name, each in CLAUSES.items() if each.capability is None]
    assert [name for name in everywhere if name not in unconditional] == []


def test_the_shipped_module_runs_every_class_of_the_suite():
    exported = {name for name in aaow_storage_conformance.__all__ if name.endswith("Tests")}
    owners = [each for name, each in vars(test_contract).items() if name.startswith("Test")]
    assert {base.__name__ for owner in owners for base in owner.__bases__} == exported


def test_pytest_explains_the_asserts_of_every_module_that_has_some():
    folders = [data, harness, report, suite_folder]
    names = [f"{each.__name__}.{module.name}" for each in folders for module in pkgutil.iter_modules(each.__path__)]
    assert [name for name in names if "@pytest_ar" not in vars(importlib.import_module(name))] == []


def test_the_table_of_areas_names_the_modules_that_check_them(suite: list[Any]):
    table: dict[str, list[str]] = {}
    for line in (suite_folder.__doc__ or "").splitlines():
        area, _, modules = line.partition("  ")
        if area in AREAS or (table and line.startswith("  ")):
            table.setdefault(area or list(table)[-1], []).extend(filter(None, modules.strip(" ,").split(", ")))
    checked = {area: {(test.owner.__mro__[1].__module__) for test in suite if area in areas_of(test)} for area in AREAS}
    assert {area: set(names) for area, names in table.items()} == {
        area: {name.rpartition(".")[2] for name in names} for area, names in checked.items()
    }


def areas_of(test: Any) -> set[str]:
    return {name.partition("-")[0] for name in test.clauses}


def test_an_unknown_clause_is_refused():
    with pytest.raises(KeyError, match="XYZ-9"):
        clause("XYZ-9")
