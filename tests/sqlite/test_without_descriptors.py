"""A process that has as many descriptors open as it may gets an error of storage, and goes on when it has not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "without_descriptors.py"
LONGEST_S = 300


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of descriptors to set")
def test_a_process_without_descriptors_is_told_so_and_goes_on_later(tmp_path: Path):
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each for each in told if each["free"] != ["value"] * 4] == []
    expected = {"value", "StorageUnavailableError", "AdapterClosedError"}
    assert [each for each in told if not expected >= {*each["scarce"]}] == []
    assert {each["scarce"][0] for each in told} == {"value", "StorageUnavailableError"}
    assert told[-1]["scarce"] == ["value"] * len(told[-1]["scarce"])
