"""Write the modules that `new-backend` fills a new package with: the code of the guide for authors, split up.

Run as `python tests/tools/write_templates.py`; a test compares what it makes with what is there.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "packages/aaow-storage/docs/write-a-backend.md"
TEMPLATES = ROOT / "packages/aaow-storage-tools/src/aaow_storage_tools/_scaffolding/templates"
MODULES = {
    "_rows.py": ("2", "Records as rows: this part is yours. Here, a row is a dict of what any database can hold."),
    "_operations.py": ("3", "The operations, on whatever gives access to the rows."),
    "_adapter.py": ("4", "The store, its adapter and its transaction."),
    "_maintenance.py": ("9", "What the tools of operators can do with a store."),
    "plugin.py": ("5", "The plugin, loaded by the entry point."),
}
MOVED = {"notebooks": "_adapter.py"}
"""Names that belong into another module than that of their section."""
WORDS = (
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
)
"""What the words of the guide become, in order."""
MARKS = {"@MODULE@": "aaow_storage_mark_module", "@CLASS@": "MarkClass", "@NAME@": "mark-name"}
MAINTENANCE = '''

def maintenance(url: str | None = None) -> NotebookMaintenance:
    """Make the maintenance of a store, for the tools of operators."""
    return NotebookMaintenance("notebook://" if url is None else url)
'''


def statements() -> Iterator[tuple[str, ast.stmt, str]]:
    """Yield the section, the syntax and the text of each statement of the guide, without what only tries it out."""
    for section in re.split(r"^## ", GUIDE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        for block in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
            lines = block.splitlines()
            for node in ast.parse(block).body:
                is_trial = isinstance(node, ast.Expr | ast.AsyncFunctionDef)
                if not is_trial:
                    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
                    yield section[0], node, "\n".join(lines[first - 1 : node.end_lineno])


def names_of(node: ast.stmt) -> set[str]:
    """Return the names that a statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {each.id for each in targets if isinstance(each, ast.Name)}


def modules() -> dict[str, str]:
    """Return the text of each module."""
    imported: dict[str, str] = {}
    bodies: dict[str, list[str]] = {name: [] for name in MODULES}
    defined: dict[str, str] = {}
    of_section = {section: name for name, (section, _) in MODULES.items()}
    for section, node, text in statements():
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                line = (
                    f"import {alias.name}"
                    if isinstance(node, ast.Import)
                    else f"from {node.module} import {alias.name}"
                )
                imported[alias.name] = line
            continue
        names = names_of(node)
        module = next((MOVED[name] for name in names if name in MOVED), of_section[section])
        defined |= dict.fromkeys(names, module)
        bodies[module].append(text)
    plugin = bodies["plugin.py"]
    plugin.insert(-1, MAINTENANCE.strip())
    plugin[-1] = plugin[-1].replace(
        "        create=create,\n", "        create=create,\n        maintenance=maintenance,\n"
    )
    defined["maintenance"] = "plugin.py"
    made = {}
    for name, (_, docstring) in MODULES.items():
        body = "\n\n\n".join(bodies[name])
        used = {each.id for each in ast.walk(ast.parse(body)) if isinstance(each, ast.Name)}
        own = {each for each, module in defined.items() if module == name}
        lines = [imported[each] for each in sorted(used - own) if each in imported and each not in defined]
        lines += [
            f"from @MODULE@.{defined[each].removesuffix('.py')} import {each}"
            for each in sorted(used - own)
            if each in defined
        ]
        made[name] = in_words_of_a_template(f'"""{docstring}"""\n\n' + "\n".join(lines) + "\n\n\n" + body + "\n")
    return made


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
