"""Show docstrings as they are meant.

Indented blocks are code, the fields of a record are a table, bases are the public ones, and `Name` links to a class of
any module.
"""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

import attrs
from docutils.nodes import Element
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_annotation

_BEFORE_NAPOLEON = 400


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_role_to_domain("py", "name", Name())
    app.connect("autodoc-process-docstring", mark_code, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", add_fields, priority=_BEFORE_NAPOLEON + 1)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-bases", keep_public_bases)
    return {"parallel_read_safe": True}


class Name(PyXRefRole):
    """The role of `name`: a class is looked for in all modules, anything else in the current class and module."""

    def process_link(
        self, env: BuildEnvironment, refnode: Element, has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Return the title and the target of a reference."""
        refnode["reftype"] = "obj"
        anywhere = f".{target}" if re.fullmatch(r"[A-Z]\w+", target) else target
        return super().process_link(env, refnode, has_explicit_title, title, anywhere)


def mark_code(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put `::` before an indented block that follows an empty line, as Markdown would read it."""
    del app, what, name, obj, options
    marked: list[str] = []
    for line in lines:
        starts = line.startswith("    ") and marked and not marked[-1] and not _is_in_block(marked)
        if starts:
            marked += ["::", ""]
        marked.append(line)
    lines[:] = marked


def _is_in_block(lines: list[str]) -> bool:
    """Say whether the last line that is not empty is indented, so that a block goes on."""
    return next((line for line in reversed(lines) if line), "").startswith("    ")


def add_fields(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Append a table of the fields to the docstring of a record."""
    del app, name, options
    if what == "class" and _is_record(obj) and not _has_attributes(lines):
        lines += ["", *_table_of_fields(obj), ""]


def _table_of_fields(record: type) -> Iterator[str]:
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield "   :class: fields"
    yield ""
    yield from _row("field", "type", "default")
    for field in attrs.fields(record):
        yield from _row(f"``{field.name}``", f"``{_type_of(record, field)}``", _default(field))


def _type_of(attrs_class: type, field: "attrs.Attribute[Any]") -> str:
    """Return the type of a field as its annotation has it, without the names of modules."""
    annotation = inspect.get_annotations(attrs_class).get(field.name, field.type)
    shown = annotation if isinstance(annotation, str) else stringify_annotation(annotation, "smart")
    return re.sub(r"~?\b(?:\w+\.)+", "", shown)


def _row(*cells: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield f"   {'* -' if number == 0 else '  -'} {cell}"


def _default(field: "attrs.Attribute[Any]") -> str:
    default = field.default
    if default is attrs.NOTHING:
        return ""
    if isinstance(default, attrs.Factory):
        made_by = default.factory.__name__
        return {"dict": "empty", "new_id": "a new id", "now": "now"}.get(made_by, f"``{made_by}()``")
    return f"``{str(default) if isinstance(default, Enum) else default!r}``"


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Leave out a signature that repeats the table of fields, or that an enumeration has from its class."""
    del app, name, options
    if what == "class" and (_is_record(obj) or (inspect.isclass(obj) and issubclass(obj, Enum))):
        return "", None
    if signature and inspect.isclass(obj) and attrs.has(obj):
        return _signature(obj), returns
    return signature, returns


def _signature(attrs_class: type) -> str:
    """Return the signature of an attrs class: its public fields, with defaults as they are written in a call."""
    parameters = []
    for field in attrs.fields(attrs_class):
        if field.name.startswith("_") or not field.init:
            continue
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        default = "" if field.default is attrs.NOTHING else f" = {_value(field.default)}"
        parameters.append(f"{field.alias}: {_type_of(attrs_class, field)}{default}")
    return f"({', '.join(parameters)})"


def _value(default: object) -> str:
    """Return a default as it would be written in a call; `...` for one that is made anew for each object."""
    if isinstance(default, Enum):
        return f"{type(default).__name__}.{default.name}"
    return "..." if isinstance(default, attrs.Factory) else repr(default)


def _is_record(obj: object) -> bool:
    return inspect.isclass(obj) and attrs.has(obj) and all(field.kw_only for field in attrs.fields(obj))


def _has_attributes(lines: list[str]) -> bool:
    return any(re.match(r"Attributes:|:ivar|\.\. attribute::", line) for line in lines)


def keep_public_bases(app: Sphinx, name: str, obj: Any, options: Any, bases: list[Any]) -> None:
    """Replace a private base by its own bases, and leave out `object` and `ABC`."""
    del app, name, options
    kept: list[Any] = []
    for base in getattr(obj, "__bases__", bases):
        public = [base] if not base.__name__.startswith("_") else list(base.__bases__)
        kept += [each for each in public if each.__name__ not in {"object", "ABC"}]
    bases[:] = kept or [object]
