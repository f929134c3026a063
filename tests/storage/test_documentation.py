"""Every hook, error, record and operation has a heading in the documentation."""

import inspect
import re
from pathlib import Path

import pytest

import aaow_storage
from aaow_storage import StorageAdapter, StorageOperations, Transaction, errors, hookspecs
from aaow_storage_conformance import CLAUSES

DOCS = Path(__file__).parents[2] / "packages" / "aaow-storage" / "docs"
DATA_OPERATIONS = {
    name for name, value in inspect.getmembers(StorageOperations, inspect.iscoroutinefunction) if name[0] != "_"
}
OPERATIONS = [
    *DATA_OPERATIONS,
    *StorageAdapter.__abstractmethods__,
    "transaction",
    "transact",
    "wait_for_approval",
    "watch_stream",
    "changes",
]
HOOKS = [name for name in hookspecs.__all__ if name.startswith("aaow_storage_")]
RECORDS_MODULE = aaow_storage.Session.__module__
CLAUSE = re.compile(r"^### ([A-Z]{3}-\d+) ", re.MULTILINE)


def headings(document: str) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", (DOCS / document).read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "name", sorted({*OPERATIONS, *Transaction.__abstractmethods__, *HOOKS, *errors.__all__, *aaow_storage.__all__})
)
def test_every_public_name_has_a_heading_in_the_reference(name: str):
    assert [heading for heading in headings("reference.md") if re.search(rf"`{name}\b", heading)]


def test_the_reference_has_no_heading_for_a_name_that_is_not_there():
    named = {name for heading in headings("reference.md") for name in re.findall(r"`(\w+)", heading)}
    known = {*OPERATIONS, *Transaction.__abstractmethods__, *HOOKS, *aaow_storage.__all__, "after", "cursor"}
    assert named <= known


@pytest.mark.parametrize("name", sorted(DATA_OPERATIONS))
def test_the_reference_calls_an_operation_by_its_arguments(name: str):
    parameters = list(inspect.signature(getattr(StorageOperations, name)).parameters.values())[1:]
    shown = [
        f"**{each.name}" if each.kind is each.VAR_KEYWORD
        else each.name if each.default is each.empty
        else f"{each.name}={each.default}"
        for each in parameters
    ]  # fmt: skip
    assert [heading for heading in headings("reference.md") if heading.startswith(f"`{name}({', '.join(shown)}) -> ")]


def test_the_contract_names_every_operation_and_record():
    records = {
        name
        for name in aaow_storage.__all__
        if getattr(getattr(aaow_storage, name), "__module__", "") == RECORDS_MODULE
    }
    assert "Session" in records
    assert records | DATA_OPERATIONS <= set(re.findall(r"\w+", (DOCS / "contract.md").read_text()))


def test_the_clauses_of_the_contract_are_those_of_the_conformance_suite():
    assert CLAUSE.findall((DOCS / "contract.md").read_text()) == list(CLAUSES)


def test_every_error_has_an_entry_in_the_troubleshooting_page():
    assert {heading.strip("`") for heading in headings("troubleshooting.md")} >= set(errors.__all__)


def test_the_messages_that_the_troubleshooting_page_quotes_are_in_the_code():
    rows = re.findall(r"^\| ([^|]*) \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = {fragment for row in rows for fragment in re.findall(r'"([^"]+)"', row)}
    code = "\n".join(path.read_text() for path in DOCS.parents[1].glob("*/src/**/*.py"))
    assert "has no time zone" in quoted
    assert {fragment for fragment in quoted if fragment not in code} == set()
