"""What the documents say is so: their Python runs, and the commands that they name exist.

The Python blocks of a document run in order, in one namespace and in an empty folder, as one who
reads along would type them. A block that cannot run says why, in a comment before it:
`<!-- skip: next "needs a server" -->`.
"""

import ast
import itertools
import re
import tomllib
from pathlib import Path

import pytest
from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from aaow_storage import _registry

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        ".github/*.md",
        "packages/*/README.md",
        "packages/*/changes/README.md",
        "packages/*/docs/**/*.md",
        "conformance/README.md",
        "tests/**/*.md",
    )
    for path in ROOT.glob(pattern)
)
PAGES = [path for path in DOCUMENTS if path.name != "README.md"]
LANGUAGES = {"console", "ini", "json", "python", "sh", "sql", "text", "toml"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@each_document
def test_the_python_in_a_document_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_host", None)  # what a document registers ends with it
    document = parse(path)
    for example in document.examples():
        with subtests.test(f"line {example.line}"):
            example.evaluate()


@each_document
def test_a_block_names_a_language_that_is_known_here(path: Path):
    fences = re.findall(r"^ *```(.*)\n(?:.*\n)*?^ *```$", path.read_text(), re.MULTILINE)
    assert set(fences) <= LANGUAGES


@each_document
def test_a_block_that_does_not_run_says_why(path: Path):
    skips = re.findall(r"<!--+ *skip: *(?:next|start)(.*?)-->", path.read_text())
    assert all(re.search(r'"\w.*"', reason) for reason in skips)


@each_document
def test_the_nox_sessions_that_a_document_names_exist(path: Path):
    named = re.findall(r'\bnox (?:-s|--session) "?(\w+)', path.read_text())
    assert set(named) <= sessions()


@each_document
def test_the_links_in_a_document_lead_somewhere(path: Path):
    assert [link for link in links(path) if not leads_somewhere(path, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_linked_from_another(page: Path):
    linked = {(path.parent / link).resolve() for path in DOCUMENTS if path != page for link in links(path)}
    assert page.resolve() in linked


def links(path: Path) -> list[str]:
    """Return where the links inside the repository lead, from the document's folder."""
    prose = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]


def leads_somewhere(path: Path, link: str) -> bool:
    """Say whether the file that a link names is there, with the heading that it names."""
    name, _, anchor = link.partition("#")
    target = path.parent / name if name else path
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(path: Path) -> set[str]:
    """Return the names that a page gives its headings: lower case, hyphens for spaces, no other punctuation."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def parse(path: Path) -> Document:
    """Find the examples; `__name__` is what it is in a program."""
    document = Sybil([PythonCodeBlockParser(), SkipParser()]).parse(path)
    document.namespace["__name__"] = "__main__"
    return document


def sessions() -> set[str]:
    """Read the names from the noxfile, which only nox can import."""
    body = ast.parse((ROOT / "noxfile.py").read_text()).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.decorator_list}


def test_the_architecture_lists_the_layers_of_the_sql_package_from_the_top():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract.get("containers") == ["aaow_storage_sql"]]
    text = (ROOT / "packages/aaow-storage/docs/architecture.md").read_text()
    listed = re.findall(r"^\| `(_\w+|testing)` \|", text, re.MULTILINE)
    positions = [[listed.index(name) for name in layer.split(" | ")] for layer in layers]
    assert len(listed) == sum(map(len, positions))
    assert all(max(upper) < min(lower) for upper, lower in itertools.pairwise(positions))


def test_the_modules_that_the_architecture_names_exist():
    text = (ROOT / "packages/aaow-storage/docs/architecture.md").read_text()
    sources = {path.as_posix() for path in ROOT.glob("**/src/**/*.py")}
    named = set(re.findall(r"`(\w+/[\w/]+\.py)`", text))
    assert named
    assert {name for name in named if not any(source.endswith(name) for source in sources)} == set()
