"""Calls on a damaged file return values or raise storage errors: no other error, no hang, no crash."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "damaged_stores.py"
TIMEOUT_S = 600
A_FEW = pytest.param(0, 40, id="40 stores")
MANY = [
    pytest.param(first, first + 375, id=f"375 stores from {first}", marks=pytest.mark.slow(seconds=60))
    for first in range(1000, 2500, 375)
]


def outcomes_of(folder: Path, first: int, last: int) -> list[dict]:
    """Return the outcomes of the calls on each damaged store, and check that the process exited normally."""
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), str(folder), str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"after {reports[-1:]}: {done.stderr[-4000:]}"
    assert len(reports) == last - first
    return reports


@pytest.mark.parametrize(("first", "last"), [A_FEW, *MANY])
def test_calls_on_a_damaged_file_return_values_or_raise_storage_errors(tmp_path: Path, first: int, last: int):
    reports = outcomes_of(tmp_path, first, last)
    wrong = [
        (each["seed"], each["way"], kind) for each in reports for kind in each["outcomes"] if kind.startswith("raw")
    ]
    assert wrong == []
    assert sum(each["outcomes"].get("CorruptDataError", 0) for each in reports) >= len(reports)
