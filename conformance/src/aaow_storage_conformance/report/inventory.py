"""All tests of the suite, whether or not a run collects them."""

import inspect
from functools import cache

import attrs
import pytest

import aaow_storage_conformance


@attrs.frozen
class SuiteTest:
    """A test of the suite, without parameters."""

    clauses: tuple[str, ...]
    is_slow: bool


@cache
def suite_tests() -> dict[str, SuiteTest]:
    """Return the tests of the suite by `Class.test_name`."""
    tests = {}
    for name in aaow_storage_conformance.__all__:
        owner = getattr(aaow_storage_conformance, name)
        if inspect.isclass(owner) and name.endswith("Tests"):
            for function_name, function in inspect.getmembers(owner, inspect.isfunction):
                if function_name.startswith("test_"):
                    marks = [*getattr(owner, "pytestmark", []), *getattr(function, "pytestmark", [])]
                    clauses = tuple(each for mark in marks if mark.name == "clause" for each in mark.args)
                    slow = any(mark.name == "slow" for mark in marks)
                    tests[function.__qualname__] = SuiteTest(clauses, slow)
    return tests


def name_of(item: pytest.Item) -> str:
    """Return the name of a test in reports: `Class.test_name[parameters]`, or the node id of a test of another suite.

    A test of the suite has one name wherever it is collected; a test that overrides one is not of the suite.
    """
    function = getattr(item, "function", None)
    own = suite_tests()
    name = getattr(function, "__qualname__", None)
    if name not in own or not function.__module__.startswith(aaow_storage_conformance.__name__):
        return item.nodeid
    callspec = getattr(item, "callspec", None)
    return name if callspec is None else f"{name}[{callspec.id}]"
