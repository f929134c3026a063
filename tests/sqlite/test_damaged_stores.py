"""Of a damaged file come values and errors of storage, and nothing else: no other error, no hang, no crash."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "damaged_stores.py"
LONGEST_S = 600
A_FEW = pytest.param(0, 40, id="40 stores")
MANY = [
    pytest.param(first, first + 375, id=f"375 stores from {first}", marks=pytest.mark.slow)
    for first in range(1000, 2500, 375)
]


def outcomes_of(folder: Path, first: int, last: int) -> list[dict]:
    """Return what came of the calls on each damaged store, and check that the process ended as it should."""
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), str(folder), str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"after {told[-1:]}: {done.stderr[-4000:]}"
    assert len(told) == last - first
    return told


@pytest.mark.parametrize(("first", "last"), [A_FEW, *MANY])
def test_nothing_but_values_and_errors_of_storage_comes_of_a_damaged_file(tmp_path: Path, first: int, last: int):
    told = outcomes_of(tmp_path, first, last)
    wrong = [(each["seed"], each["way"], kind) for each in told for kind in each["outcomes"] if kind.startswith("raw")]
    assert wrong == []
    assert sum(each["outcomes"].get("CorruptDataError", 0) for each in told) >= len(told)
