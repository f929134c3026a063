"""Backends of plugins that are really installed, the good ones beside the bad."""

from collections.abc import Callable
from typing import Any

import pytest

USABLE = ["edited", "maker", "mariadb", "memory", "postgresql", "sqlite", "wheeled"]
UNUSABLE = ["broken", "empty", "impostor", "quitter", "raiser", "stranger", "twice", "typo"]


def test_every_installed_backend_is_listed_and_those_that_cannot_be_used_say_why(evaluate: Callable[..., Any]):
    problems = evaluate("{name: backend.problem for name, backend in available_backends().items()}")
    assert list(problems) == sorted(USABLE + UNUSABLE)
    assert [name for name, problem in problems.items() if problem is None] == USABLE
    assert problems["broken"].endswith("ModuleNotFoundError: No module named 'no_such_driver'")


@pytest.mark.parametrize(("name", "distribution"), [("wheeled", "wheel"), ("edited", "editable")])
def test_a_plugin_works_from_a_wheel_and_from_an_editable_install(
    evaluate: Callable[..., Any], name: str, distribution: str
):
    made = f"[type(create_adapter({name!r})).__name__, sys.modules['throwaway_{distribution}'].__file__]"
    adapter, file = evaluate(made)
    assert adapter == "MemoryAdapter"
    assert ("site-packages" in file) == (distribution == "wheel")


def test_the_scheme_of_a_url_names_an_installed_plugin(evaluate: Callable[..., Any]):
    assert evaluate("type(create_adapter('wheeled://anything')).__name__") == "MemoryAdapter"


def test_only_the_plugin_that_is_asked_for_is_loaded(evaluate: Callable[..., Any]):
    loaded = "[create_adapter('wheeled'), [name for name in sys.modules if name.startswith('throwaway_')]][1]"
    assert evaluate(loaded) == ["throwaway_wheel"]


def test_importing_the_interface_loads_no_plugin_no_sql_and_no_loop(evaluate: Callable[..., Any]):
    plugins = ("aaow_storage_memory", "aaow_storage_sqlite", "throwaway_wheel", "throwaway_broken")
    names = (*plugins, "pluggy", "importlib.metadata", "sqlalchemy", "asyncio", "aaow_storage.sync")
    assert evaluate(f"[name for name in {names} if name in sys.modules]") == []


@pytest.mark.parametrize("reference", ["'broken'", "'broken://app:s3cret@host/db'", "'broken', 'host'"])
def test_a_broken_plugin_says_why_only_when_it_is_asked_for(evaluate: Callable[..., Any], reference: str):
    error = evaluate(f"create_adapter({reference})")
    assert error["type"] == "BackendNotFoundError"
    assert error["cause"] == "ModuleNotFoundError"
    assert "its plugin 'throwaway_broken' of the distribution throwaway-broken cannot be imported" in error["message"]
    assert "No module named 'no_such_driver'" in error["message"]
    assert "s3cret" not in error["message"]


def test_two_distributions_that_claim_one_name_are_both_named(evaluate: Callable[..., Any]):
    error = evaluate("create_adapter('twice')")
    assert "the distributions throwaway-one and throwaway-two both provide it" in error["message"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("quitter", "cannot be imported: SystemExit: bye"),
        ("stranger", "aaow_storage_backend() must return a Backend, not str"),
        ("impostor", "provides a backend named 'wheeled'; its hook aaow_storage_backend() must return one named"),
        ("empty", "provides no backend"),
        ("typo", "aaow_storage_bakend"),
        ("raiser", "is not valid: ZeroDivisionError"),
        ("maker", "its plugin made int, which is not a StorageAdapter"),
    ],
)
def test_a_plugin_that_breaks_the_rules_of_the_hook_is_told_which(evaluate: Callable[..., Any], name: str, words: str):
    error = evaluate(f"create_adapter({name!r})")
    assert error["type"] == "BackendNotFoundError"
    assert words in error["message"]


def test_a_plugin_that_was_refused_does_not_take_the_place_of_the_good_one(evaluate: Callable[..., Any]):
    both = "[available_backends()['impostor'].problem is None, type(create_adapter('wheeled')).__name__]"
    assert evaluate(both) == [False, "MemoryAdapter"]


def test_an_unknown_name_lists_what_is_installed(evaluate: Callable[..., Any]):
    error = evaluate("create_adapter('nothing-like-it')")
    assert error["type"] == "BackendNotFoundError"
    assert f"(installed: {', '.join(sorted(USABLE + UNUSABLE))})" in error["message"]


def test_a_listed_backend_that_cannot_be_used_refuses_to_create(evaluate: Callable[..., Any]):
    error = evaluate("available_backends()['broken'].create('x', option=1)")
    assert error["type"] == "BackendNotFoundError"


def test_the_environment_names_the_backend_that_is_opened_without_arguments(evaluate: Callable[..., Any]):
    assert evaluate("type(open_adapter()).__name__", DATABASE_URL="wheeled://x") == "MemoryAdapter"
    assert evaluate("type(open_adapter()).__name__", DATABASE_URL="") == "SQLStorageAdapter"
