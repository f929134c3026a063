"""Write the modules that `new-backend` fills a new package with: the code of the guides for authors, split up.

Run as `python tests/tools/write_templates.py`; a test compares what it makes with what is there.
"""

import re
import subprocess
import sys
from pathlib import Path

from guide_code import Guide

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "packages/aaow-storage/docs"
TEMPLATES = ROOT / "packages/aaow-storage-tools/src/aaow_storage_tools/_scaffolding/templates"

OF_ROWS = Guide(
    path=DOCS / "write-a-backend.md",
    package="aaow_storage_notebook",
    modules={
        "_rows.py": "Records as rows: this part is yours. Here, a row is a dict of what any database can hold.",
        "_operations.py": "The operations, on whatever gives access to the rows.",
        "_adapter.py": "The store, its adapter and its transaction.",
        "_maintenance.py": "What the tools of operators can do with a store.",
        "plugin.py": "The plugin, loaded by the entry point.",
    },
    of_sections={
        "2": "_rows.py",
        "3": "_operations.py",
        "4": "_adapter.py",
        "5": "plugin.py",
        "9": "_maintenance.py",
    },
    moved={"notebooks": "_adapter.py"},
    edits=(
        (
            "plugin.py",
            "@hookimpl\n",
            '''def maintenance(url: str | None = None) -> NotebookMaintenance:
    """Make the maintenance of a store, for the tools of operators."""
    return NotebookMaintenance("notebook://" if url is None else url)


@hookimpl
''',
        ),
        ("plugin.py", "        create=create,\n", "        create=create,\n        maintenance=maintenance,\n"),
    ),
)
OF_SQL = Guide(
    path=DOCS / "new-sql-engine.md",
    package="aaow_storage_pocket",
    modules={
        "_errors.py": "What the errors of the driver mean. No other module looks at their codes.",
        "_dialect.py": "The SQL that differs, and some facts; `aaow_storage_sql.Dialect` documents each.",
        "_connection.py": "A connection: how a transaction begins, and how a statement is cancelled.",
        "_settings.py": "The options of an adapter, checked when they are set.",
        "_server.py": "The database as the threads of an adapter use it: how to connect, and how to open a store.",
        "_executor.py": "The executor, which plugin.py imports: it must import neither SQLAlchemy nor the driver.",
        "plugin.py": "The plugin, loaded by the entry point.",
    },
    of_sections={
        "1": "_errors.py",
        "2": "_dialect.py",
        "3": "_connection.py",
        "4": "_server.py",
        "5": "plugin.py",
    },
    moved={"PocketSettings": "_settings.py", "PocketExecutor": "_executor.py"},
    edits=(
        (
            "_executor.py",
            "    def make_server(self) -> PocketServer:\n",
            """    def make_server(self) -> "PocketServer":
        import_late("aaow_storage_pocket._server")  # here, since it imports SQLAlchemy and the driver
        from aaow_storage_pocket._server import PocketServer

""",
        ),
    ),
    imports={"import_late": "from aaow_storage_sql import import_late"},
)
WORDS = (
    (r"\baaow_storage_(notebook|pocket)\b", "@MODULE@"),
    (r"\bnotebook://mine\b", "@NAME@://mine"),
    (r"notebook://", "@NAME@://"),
    (r'name="notebook"', 'name="@NAME@"'),
    (r"for one event loop", "gone when the process ends"),
    (r"a notebook; a backup of memory makes little sense", "a store; write backup and restore when it is on a disk"),
    (r"\b_notebook\b", "_store"),
    (r"\bnotebooks\b", "stores"),
    (r"\bnotebook\b", "store"),
    (r"\bNotebook\b", "@CLASS@Store"),
    (r"\bNotebook", "@CLASS@"),
    (r"\bPocket", "@CLASS@"),
    (r"\bpocket\b", "@NAME@"),
)
"""What the words of the guides become, in order."""
MARKS = {"@MODULE@": "aaow_storage_mark_module", "@CLASS@": "MarkClass", "@NAME@": "mark-name"}


def modules() -> dict[str, str]:
    """Return the text of each template, under its path."""
    texts = OF_ROWS.split() | {f"sql/{name}": text for name, text in OF_SQL.split().items()}
    return {name: in_words_of_a_template(text) for name, text in texts.items()}


def in_words_of_a_template(text: str) -> str:
    """Return a module whose names are marks."""
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    return text


def without_marks(text: str) -> str:
    """Return a template as Python that can be parsed."""
    for mark, word in MARKS.items():
        text = text.replace(mark, word)
    return text


def formatted(text: str) -> str:
    """Return a template with sorted imports and the format of the project."""
    text = without_marks(text)
    for command in (["check", "--isolated", "--select=I", "--fix", "--quiet"], ["format", "--isolated", "--quiet"]):
        own = ["--config=lint.isort.known-first-party=['aaow_storage_mark_module']", "--config=line-length=120"]
        ruff = [sys.executable, "-m", "ruff", *command, *own, "--stdin-filename=module.py", "-"]
        text = subprocess.run(ruff, input=text, check=True, capture_output=True, text=True).stdout
    for mark, word in MARKS.items():
        text = text.replace(word, mark)
    return text


if __name__ == "__main__":
    for name, text in modules().items():
        (TEMPLATES / f"{name}.template").write_text(formatted(text), "utf-8")
