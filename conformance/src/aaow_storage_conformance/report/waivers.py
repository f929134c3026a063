"""Waivers: clauses that a backend is known to break, each with a reason and a last day."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from aaow_storage_conformance._contract import CLAUSES

KEYS = ("clause", "reason", "expires", "tests")


@attrs.frozen
class Waiver:
    """One entry of a waivers file.

    Attributes:
        clause: the id of the clause.
        reason: why the backend breaks it, shown in reports.
        expires: the last day on which the waiver holds, in UTC.
        tests: patterns of the tests that may fail, with `*` and `?`; empty for every test of the clause.
        entry: its number in the file, from 1.
    """

    clause: str
    reason: str
    expires: date
    tests: tuple[str, ...] = ()
    entry: int = 1

    @property
    def has_expired(self) -> bool:
        """Whether its last day is over."""
        return datetime.now(UTC).date() > self.expires

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of tests that it waives; each has to match a test that fails."""
        return self.tests or ("*",)

    def covers(self, test: str, clauses: Iterable[str]) -> bool:
        """Return whether the failure of a test is waived."""
        return self.clause in clauses and any(matches(pattern, test) for pattern in self.patterns)


def matches(pattern: str, test: str) -> bool:
    """Return whether a pattern matches `Class.test_name[parameters]`, with or without class and parameters."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    without_parameters = test.partition("[")[0]
    names = (test, without_parameters)
    return any(
        re.fullmatch(expression, each, re.DOTALL) for name in names for each in (name, name.partition(".")[2] or name)
    )


def read_waivers(path: Path, tests: Mapping[str, Iterable[str]]) -> list[Waiver]:
    """Read a waivers file; `tests` maps the names of tests, without parameters, to their clauses.

    Raises:
        pytest.UsageError: the file cannot be read or an entry is wrong; the message names the file, entry and fix.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _usage_error(path, f"cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _usage_error(path, f"is not TOML: {error}") from error
    entries = document.pop("waiver", [])
    if document:
        raise _usage_error(path, f"has unknown keys, {_join(document)}; write each waiver as a table [[waiver]]")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _usage_error(path, "has a `waiver` that is no list of tables; write each as a table [[waiver]]")
    return [_waiver(path, number, entry, tests) for number, entry in enumerate(entries, 1)]


def _waiver(path: Path, number: int, entry: dict[str, Any], tests: Mapping[str, Iterable[str]]) -> Waiver:
    def refuse(problem: str) -> pytest.UsageError:
        return _usage_error(path, f"waiver {number} ({entry.get('clause', 'no clause')}): {problem}")

    clause, reason, expires = (entry.get(name) for name in KEYS[:3])
    patterns = entry.get("tests", [])
    if unknown := [name for name in entry if name not in KEYS]:
        raise refuse(f"has unknown keys, {_join(unknown)}; the keys are {_join(KEYS)}")
    if not isinstance(clause, str) or clause not in CLAUSES:
        close = difflib.get_close_matches(str(clause), CLAUSES, n=1)
        raise refuse(
            f"`clause` must be the id of a clause{f', such as {close[0]}' if close else ''}; the contract lists them"
        )
    if not isinstance(reason, str) or not reason.strip():
        raise refuse('`reason` must say why the backend breaks the clause: reason = "..."')
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise refuse("`expires` must be the last day of the waiver, without quotes: expires = 2030-12-31")
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise refuse('`tests` must list patterns of test names: tests = ["test_name*"]')
    of_clause = [test for test, clauses in tests.items() if clause in clauses]
    for pattern in patterns:
        if not any(matches(pattern.partition("[")[0], test) for test in of_clause):
            raise refuse(f"{pattern!r} in `tests` names no test of {clause}; correct it, or remove it")
    return Waiver(clause, " ".join(reason.split()), expires, tuple(patterns), number)


def _usage_error(path: Path, problem: str) -> pytest.UsageError:
    return pytest.UsageError(f"--storage-waivers={path}: {problem}")


def _join(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
