"""A type checker accepts the right uses in `uses.py`, and refuses exactly the marked ones, with the marked code."""

import re
from pathlib import Path

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
