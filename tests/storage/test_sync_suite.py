"""The conformance suite passes through the synchronous adapter: see `in_threads.py`, the backend that it runs on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).with_name("in_threads.py")

WITHOUT_MEANING = [
    "test_an_input_is_the_callers_own_before_and_after",
    "test_changing_the_condition_later_has_no_effect",
    "test_changing_the_patch_later_has_no_effect",
    "test_changing_what_was_passed_while_its_operation_waits_changes_nothing_stored",
]
"""Tests that change an argument while the call waits: a synchronous caller waits too, and changes nothing."""


@pytest.mark.slow(seconds=120)
def test_the_quick_profile_of_the_suite_passes_by_synchronous_calls_in_threads(tmp_path: Path):
    info = tmp_path / "aaow_in_threads-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aaow-in-threads\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[aaow_storage]\nin-threads = {BACKEND.stem}\n")
    (tmp_path / BACKEND.name).symlink_to(BACKEND)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    suite = ["--pyargs", "aaow_storage_conformance", "--storage-backend=in-threads", "-m", "not slow"]
    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    left_out = ["-k", f"not ({' or '.join(WITHOUT_MEANING)})"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *suite, *left_out, "--conformance-report=report.json"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["backend"]["distribution"] == "aaow-in-threads"
    results = {each["id"]: each["result"] for each in report["clauses"]}
    assert {"passed", "incomplete", "not claimed"} >= set(results.values())
