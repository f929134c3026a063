"""Type checkers accept the right uses in `uses.py`, and refuse exactly the marked ones: mypy with the marked code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api as mypy

USES = Path(__file__).with_name("uses.py")
CONFIGURATION = Path(__file__).parents[2] / "pyproject.toml"
REFUSED = re.compile(r"  # type: ignore\[([\w-]+)\]  # .+$")


def test_a_type_checker_refuses_exactly_what_is_marked(tmp_path: Path) -> None:
    lines = USES.read_text().splitlines()
    expected = {at: found[1] for at, line in enumerate(lines, 1) if (found := REFUSED.search(line))}
    unmarked = tmp_path / "uses.py"
    unmarked.write_text("\n".join(REFUSED.sub("", line) for line in lines) + "\n")
    options = ["--config-file", str(CONFIGURATION), "--cache-dir", str(tmp_path), "--show-error-codes", "--no-pretty"]
    output, errors, _ = mypy.run([*options, str(unmarked)])
    said = re.findall(r"uses\.py:(\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)
    assert errors == ""
    assert {int(at): code for at, code in said} == expected
    assert len(expected) > 15


def test_pyright_refuses_exactly_what_is_marked(tmp_path: Path) -> None:
    pytest.importorskip("basedpyright", reason="a pyright that needs no download when it runs; in the group `types`")
    lines = USES.read_text().splitlines()
    (tmp_path / "uses.py").write_text("\n".join(REFUSED.sub("", line) for line in lines) + "\n")
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    command = [
        sys.executable,
        "-m",
        "basedpyright",
        "--outputjson",
        "--pythonpath",
        sys.executable,
        "-p",
        str(tmp_path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    found = {each["range"]["start"]["line"] + 1 for each in json.loads(run.stdout)["generalDiagnostics"]}
    assert found == {at for at, line in enumerate(lines, 1) if REFUSED.search(line)}
