"""A process that has no descriptors left gets a storage error, and recovers when it has some."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "without_descriptors.py"
TIMEOUT_S = 300


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of descriptors to set")
def test_a_process_without_descriptors_gets_storage_errors_and_recovers_later(tmp_path: Path):
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each for each in reports if each["free"] != ["value"] * 4] == []
    expected = {"value", "StorageUnavailableError", "AdapterClosedError"}
    assert [each for each in reports if not expected >= {*each["scarce"]}] == []
    assert {each["scarce"][0] for each in reports} == {"value", "StorageUnavailableError"}
    assert reports[-1]["scarce"] == ["value"] * len(reports[-1]["scarce"])
