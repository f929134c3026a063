"""The conformance suite passes through the synchronous adapter: see `in_threads.py`, the backend that it runs on."""

import json
from pathlib import Path

import pytest

BACKEND = Path(__file__).with_name("in_threads.py")
PROJECT = {
    "name": "aaow-in-threads",
    "version": "1.0",
    "entry-points": {"aaow_storage": {"in-threads": BACKEND.stem}},
}

WITHOUT_MEANING = [
    "test_an_input_is_the_callers_own_before_and_after",
    "test_changing_the_condition_later_has_no_effect",
    "test_changing_the_patch_later_has_no_effect",
    "test_changing_what_was_passed_while_its_operation_waits_changes_nothing_stored",
]
"""Tests that change an argument while the call waits: a synchronous caller waits too, and changes nothing."""


@pytest.mark.slow(seconds=120)
def test_the_quick_profile_of_the_suite_passes_by_synchronous_calls_in_threads(suite_on_installed, tmp_path: Path):
    (tmp_path / BACKEND.name).symlink_to(BACKEND)
    left_out = f"not ({' or '.join(WITHOUT_MEANING)})"
    done = suite_on_installed(PROJECT, "-k", left_out, "--conformance-report=report.json")
    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backend"]["distribution"] == "aaow-in-threads"
    results = {each["id"]: each["result"] for each in report["clauses"]}
    assert {"passed", "incomplete", "not claimed"} >= set(results.values())
