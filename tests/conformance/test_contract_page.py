"""The page of the contract, the registry of clauses and the tests of the suite agree."""

import re
from pathlib import Path
from typing import Any

import pytest

from aaow_storage import Backend, Capability
from aaow_storage_conformance import CLAUSES, CONTRACT_VERSION, Clause, Level, registry_digest
from aaow_storage_conformance._contract import AREAS
from aaow_storage_conformance.report.inventory import suite_tests

PAGE = (Path(__file__).parents[2] / "packages/aaow-storage/docs/contract.md").read_text(encoding="utf-8")
RULES = {
    match["id"]: match["text"]
    for match in re.finditer(r"^### (?P<id>[A-Z]+-\d+) .*\n\n(?P<text>(?:(?!#).*\n)*)", PAGE, re.MULTILINE)
}
"""The text below the heading of each clause, by its id."""


def test_the_page_has_a_heading_and_a_text_for_every_clause_and_no_other():
    assert re.findall(r"^### ([A-Z]+-\d+) ", PAGE, re.MULTILINE) == list(CLAUSES)
    assert [name for name, text in RULES.items() if text.strip()] == list(CLAUSES)


@pytest.mark.parametrize("clause", CLAUSES)
@pytest.mark.parametrize("part", ["Find a rule by question", "7. Index"])
def test_the_questions_and_the_index_of_the_page_lead_to_every_clause(part: str, clause: str):
    text = PAGE.partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    assert f"[{clause}](#{clause.lower()}-" in text


def test_the_page_says_the_version_and_the_digest():
    assert f"# The storage contract, version {CONTRACT_VERSION}\n" in PAGE
    assert f"`{registry_digest()}`" in PAGE


@pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)
def test_the_table_of_the_page_has_the_sentence_of_every_clause(clause: Clause):
    needs = f"`{clause.capability}`" if clause.capability else ""
    rest = f"{clause.level} | {needs} | {clause.since} | {clause.sentence}"
    assert re.search(rf"^\| \[{clause.id}\]\(#[\w-]+\) \| {re.escape(rest)} \|$", PAGE, re.MULTILINE)


def test_the_table_of_the_page_has_no_other_clause():
    assert re.findall(r"^\| \[([A-Z]+-\d+)\]", PAGE, re.MULTILINE) == list(CLAUSES)


@pytest.mark.parametrize("clause", CLAUSES.values(), ids=CLAUSES)
def test_a_rule_of_the_page_names_the_capability_of_its_clause(clause: Clause):
    assert RULES[clause.id].startswith(f"(`{clause.capability}`)") == (clause.capability is not None)


@pytest.mark.parametrize("capability", Capability)
def test_the_page_describes_every_capability(capability: Capability):
    assert f"\n| `{capability}` |" in PAGE


def test_every_area_of_a_clause_has_a_name():
    assert list(dict.fromkeys(clause.area for clause in CLAUSES.values())) == list(AREAS)


def test_no_clause_is_newer_than_the_version_of_the_contract():
    this = tuple(map(int, CONTRACT_VERSION.split(".")))
    assert all(tuple(map(int, clause.since.split("."))) <= this for clause in CLAUSES.values())


def test_a_backend_is_built_for_the_first_version_unless_it_says_otherwise():
    assert Backend(name="sample", summary="", create=lambda url=None: None).contract == "1.0"


def test_the_digest_changes_with_a_clause(monkeypatch: pytest.MonkeyPatch):
    before = registry_digest()
    monkeypatch.setitem(CLAUSES, "REC-1", Clause("REC-1", CLAUSES["REC-1"].sentence, level=Level.SHOULD))
    assert registry_digest() != before


def test_the_inventory_has_every_test_of_the_suite_with_its_clauses(suite: list[Any]):
    found = {getattr(test.owner, test.name).__qualname__: test.clauses for test in suite}
    assert {name: set(test.clauses) for name, test in suite_tests().items()} == found
