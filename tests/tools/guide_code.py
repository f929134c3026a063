"""The code of a guide for authors, split into the modules of a package."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Guide:
    """A page whose blocks are one program, and the package that it becomes.

    Attributes:
        path: the page.
        package: what the package is called in `edits`.
        modules: the docstring of each module, from the lowest to the highest.
        of_sections: the module of the code of each numbered section.
        moved: the module of names that belong into another one than that of their section.
        edits: in which module what is replaced by what, once each.
        imports: what an edit needs beside what the guide imports: the line that imports each name.
    """

    path: Path
    package: str
    modules: Mapping[str, str]
    of_sections: Mapping[str, str]
    moved: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[tuple[str, str, str], ...] = ()
    imports: Mapping[str, str] = field(default_factory=dict)

    def split(self) -> dict[str, str]:
        """Return the text of each module, with what it imports from outside and from the others."""
        imported, bodies = self._edited()
        parsed = {name: ast.parse(body).body for name, body in bodies.items()}
        defined = {each: name for name, body in parsed.items() for node in body for each in names_of(node)}
        lines = imported | {
            each: f"from {self.package}.{name.removesuffix('.py')} import {each}" for each, name in defined.items()
        }
        made = {}
        for name, docstring in self.modules.items():
            used = names_in(parsed[name], ast.Name) & lines.keys() - {each for each in defined if defined[each] == name}
            late = names_in(parsed[name], ast.ImportFrom)
            parts = [f'"""{docstring}"""', "\n".join(lines[each] for each in sorted(used - late))]
            if late:  # imported by functions, and otherwise for annotations alone
                parts += ["if TYPE_CHECKING:\n    " + "\n    ".join(lines[each] for each in sorted(late))]
                parts[1] += "\nfrom typing import TYPE_CHECKING"
            made[name] = "\n\n".join([*filter(None, parts), bodies[name]])
        return made

    def _edited(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the line that imports each name, and the text of each module without imports."""
        imported = dict(self.imports)
        bodies = dict.fromkeys(self.modules, "")
        ended_with_constant = dict.fromkeys(self.modules, False)
        for section, node, text in self._statements():
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= imports_of(node)
            else:
                moved = [self.moved[name] for name in names_of(node) if name in self.moved]
                module = moved[0] if moved else self.of_sections[section]
                is_constant = isinstance(node, ast.Assign | ast.AnnAssign)
                bodies[module] += text + "\n" if is_constant and ended_with_constant[module] else f"\n\n{text}\n"
                ended_with_constant[module] = is_constant
        for name, old, new in self.edits:
            assert bodies[name].count(old) == 1, f"{self.path.name}: {name} has not once {old!r}"
            bodies[name] = bodies[name].replace(old, new)
        return imported, bodies

    def _statements(self) -> Iterator[tuple[str, ast.stmt, str]]:
        """Yield the section, the syntax and the text of each statement, without what only tries something out.

        That is what calls something, a coroutine to be called, and all of a block that has nothing else to define.
        """
        for section in re.split(r"^## ", self.path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            for block in re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
                body = ast.parse(block).body
                kept = [node for node in body if not isinstance(node, ast.Expr | ast.AsyncFunctionDef)]
                if kept == body or any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in kept):
                    yield from ((section[0], node, text_of(node, block)) for node in kept)


def text_of(node: ast.stmt, block: str) -> str:
    """Return the text of a statement, with its decorators."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return "\n".join(block.splitlines()[first - 1 : node.end_lineno])


def names_of(node: ast.stmt) -> set[str]:
    """Return the names that a statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {each.id for each in targets if isinstance(each, ast.Name)}


def imports_of(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Return the names that an import binds, each with a line that imports it alone."""
    origin = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
    return {alias.asname or alias.name: f"{origin}import {ast.unparse(alias)}" for alias in node.names}


def names_in(body: list[ast.stmt], kind: type[ast.Name | ast.ImportFrom]) -> set[str]:
    """Return the names that statements use, or that their functions import."""
    nodes = [node for statement in body for node in ast.walk(statement) if isinstance(node, kind)]
    return {name for node in nodes for name in ([node.id] if isinstance(node, ast.Name) else imports_of(node))}
