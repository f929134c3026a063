"""Write the synchronous classes of `aaow_storage.sync` from the source of the asynchronous ones.

    python packages/aaow-storage/tools/generate_sync.py

Each method gets the parameters, the annotations and the docstring of the original, in the words of synchronous code.
A phrase below that no docstring has any more, or a docstring that still speaks of tasks, is an error: mend the phrases.
The output is formatted, without a formatter.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "src" / "aaow_storage"
LINE_LENGTH = 120
INDENT = "    "

BASES = {
    "StreamOperations": "SyncCalls",
    "RequiredOperations": "SyncStreamOperations",
    "StoreWideOperations": "SyncRequiredOperations",
    "ChangeOperations": "SyncCalls",
    "StorageOperations": "SyncStoreWideOperations, SyncChangeOperations",
    "Transaction": "SyncOperations, TransactionCalls",
    "StorageAdapter": "SyncOperations, AdapterCalls",
}
"""The classes whose methods are written, and what their synchronous forms inherit from."""
NAMES = {name: f"Sync{name.removeprefix('Storage')}" for name in BASES}
MODULES = {
    "_stream_operations": ["StreamOperations"],
    "_required_operations": ["RequiredOperations"],
    "_store_wide_operations": ["StoreWideOperations"],
    "_change_operations": ["ChangeOperations"],
    "_operations": ["StorageOperations"],
    "_adapter": ["Transaction", "StorageAdapter"],
}
"""The modules to write, and the classes that the module of the same name has."""
WRITTEN_BY_HAND = {
    "AdapterCalls": "_adapter_calls",
    "SavepointBlock": "_transaction_calls",
    "SyncCalls": "_calls",
    "TransactionBlock": "_transaction_calls",
    "TransactionCalls": "_transaction_calls",
}
BODIES = {
    ("Transaction", "__aenter__"): ["self._enter_block()", "return self"],
    ("Transaction", "__aexit__"): ["self._leave_block(kind, error, traceback)"],
    ("StorageAdapter", "__aenter__"): ["self._enter_block()", "return self"],
    ("StorageAdapter", "__aexit__"): ["self._leave_block(kind, error, traceback)"],
    ("StorageAdapter", "initialize"): ["self._open(migrate=migrate)"],
    ("StorageAdapter", "close"): ["self._close()"],
    ("StorageAdapter", "begin_transaction"): [
        "begun = self._run(lambda: self.wrapped.begin_transaction(timeout), lambda begun, _: begun.rollback())",
        "return self._transaction(begun)",
    ],
    ("StorageAdapter", "transaction"): [
        "return TransactionBlock(self, lambda: self.wrapped.transaction(timeout), self._transaction)"
    ],
    ("Transaction", "savepoint"): ["return SavepointBlock(self, self.wrapped.savepoint)"],
    ("StorageAdapter", "transact"): ["return self._transact(self._transaction, work, attempts, outage, timeout)"],
}
"""The bodies of methods that do not simply pass the call on."""
MORE_METHODS = {
    "StorageAdapter": """
    def _transaction(self, begun: Transaction) -> SyncTransaction:
        return SyncTransaction(begun, self)
"""
}

TYPES = [
    (r"AsyncGenerator\[(.+), None\]", r"SyncIterator[\1]"),
    (r"(?:AbstractAsyncContextManager|AsyncIterator)\[(.+)\]", r"AbstractContextManager[\1]"),
    (r"Awaitable\[(\w+)\]", r"\1"),
    (r"\bTransaction\b", "SyncTransaction"),
]
IMPORTED_FROM = {
    "AbstractContextManager": "contextlib",
    "SyncIterator": "aaow_storage.sync._calls",
    "iterated": "aaow_storage.sync._calls",
    "Transaction": "aaow_storage._adapter",
}
PHRASES = {
    "`async with adapter:`": "`with adapter:`",
    "`async with` block": "`with` block",
    "for `async with`": "for `with`",
    "async for ": "for ",
    "contextlib.aclosing": "contextlib.closing",
    "One adapter serves any number of concurrent tasks.": (
        "One adapter serves any number of threads. A call waits for what it returns; it may be made in a script, in a "
        "notebook, and inside a running event loop, which then waits too."
    ),
    (
        "in every task that began the transaction, uses it, or was started by such a task since. They would write "
        "outside of the transaction, or wait for its locks until it times out."
    ): (
        "in every thread that began the transaction or uses it. They would write outside of the transaction, or wait "
        "for its locks until it times out."
    ),
    "If it is cancelled, it ends soon, and the adapter is closed.": (
        "If it is interrupted, it ends soon, and the adapter is closed."
    ),
    "even if it fails or is cancelled.": "even if it fails or is interrupted.",
    "its effect is committed when it returns.": (
        "its effect is committed when it returns. An exception that interrupts a call, such as that of Ctrl-C, cancels "
        "the operation, and is raised when that has ended."
    ),
    "and bind it to the current context.": "and bind it to the current thread.",
    "end it sooner by cancelling the task, or by": "end it sooner by its `close` in any thread, or by",
    "It ends with the task that is cancelled.": "Ctrl-C ends it.",
    "while a transaction is open in the task it raises": "while a transaction is open in the thread it raises",
    "a coroutine function that takes the transaction.": "a function that takes the transaction, run in this thread.",
    "or after a cancellation.": "or after an interruption.",
    (
        "A backend implements the abstract operations. The others have defaults that are built on those, and correct, "
        "but slow: they read page by page what a backend of its own finds at once."
    ): "",
    "locks belong to one process.": "locks belong to one process. After a fork, open another one in the child.",
}
"""What the docstrings say otherwise. A paragraph that becomes empty is left out."""
ASYNCHRONOUS = re.compile(r"\b(async|asyncio|await\w*|tasks?|coroutines?|cancel\w*ed|cancellation)\b")
"""The words that a docstring of synchronous code has no use for."""


class Method(NamedTuple):
    """A method of an asynchronous class."""

    owner: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    comment: str
    source: str

    @property
    def decorators(self) -> set[str]:
        """What is written after each @."""
        return {ast.unparse(each) for each in self.node.decorator_list}


def modules() -> dict[Path, str]:
    """Return the text of each module to write."""
    unused = set(PHRASES)
    inherited: set[str] = set()
    written = {PACKAGE / "sync" / f"{name}.py": _module(name, inherited, unused) for name in MODULES}
    if unused:
        raise SystemExit(f"no docstring has these phrases: {sorted(unused)}")
    return written


def _module(name: str, inherited: set[str], unused: set[str]) -> str:
    source = (PACKAGE / f"{name}.py").read_text()
    tree = ast.parse(source)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    body = "\n\n".join([_class(classes[each], source, inherited, unused) for each in MODULES[name]])
    type_variables = [f'{each} = TypeVar("{each}")\n' for each in ["T"] if re.search(rf"\b{each}\b", body)]
    synchronous = " and ".join(f"`{NAMES[each]}`" for each in MODULES[name])
    summary = f'"""{synchronous}: made by `nox -s generate` from `aaow_storage.{name}`, so change that."""\n'
    above = "".join(f"{each}\n" for each in type_variables)
    imports = _imports(tree, name, above + body)
    return f"{summary}\n{imports}\n{above and above + chr(10)}\n{body}".replace("\n\n\n\n", "\n\n\n")


def _class(node: ast.ClassDef, source: str, inherited: set[str], unused: set[str]) -> str:
    text = [f"class {NAMES[node.name]}({BASES[node.name]}):", _docstring(node, INDENT, unused)]
    text += [f"{method.comment}{_method(method, unused)}" for method in _methods(node, source, inherited)]
    if node.name in MORE_METHODS:
        text.append(textwrap.indent(textwrap.dedent(MORE_METHODS[node.name]).strip(), INDENT))
    return "\n".join([text[0], "\n\n".join(text[1:])]) + "\n"


def _methods(node: ast.ClassDef, source: str, inherited: set[str]) -> Iterator[Method]:
    """Yield the public methods of a class that are not those of its bases."""
    lines = source.splitlines()
    for each in node.body:
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        is_public = not each.name.startswith("_") or each.name in {"__aenter__", "__aexit__"}
        if not is_public or each.name in inherited:
            continue
        first = min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])
        above = lines[first - 3] if lines[first - 2] == "" else ""
        yield Method(node.name, each, f"{above}\n\n" if above.strip().startswith("#") else "", source)
        if not each.name.startswith("_") and node.name not in {"Transaction", "StorageAdapter"}:
            inherited.add(each.name)


def _method(method: Method, unused: set[str]) -> str:
    node = method.node
    lines = [f"{INDENT}@property"] if "property" in method.decorators else []
    lines += _signature(method)
    if ast.get_docstring(node):
        lines.append(_docstring(node, INDENT * 2, unused))
    lines += [line for statement in _body(method) for line in _statement(statement)]
    return "\n".join(lines)


def _signature(method: Method) -> list[str]:
    node = method.node
    name = {"__aenter__": "__enter__", "__aexit__": "__exit__"}.get(node.name, node.name)
    parameters = _parameters(method)
    returns = f") -> {_annotation(method, node.returns)}:"
    head = f"{INDENT}def {name}("
    if len(line := f"{head}{', '.join(parameters)}{returns}") <= LINE_LENGTH:
        return [line]
    if len(line := f"{INDENT * 2}{', '.join(parameters)}") <= LINE_LENGTH:
        return [head, line, f"{INDENT}{returns}"]
    return [head, *(f"{INDENT * 2}{each}," for each in parameters), f"{INDENT}{returns}"]


def _parameters(method: Method) -> list[str]:
    arguments = method.node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    parameters = [_parameter(method, *each) for each in zip(positional, defaults, strict=True)]
    if arguments.posonlyargs:
        parameters.insert(len(arguments.posonlyargs), "/")
    if arguments.kwonlyargs:
        parameters.append("*")
        parameters += [
            _parameter(method, *each) for each in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        ]
    if arguments.kwarg:
        parameters.append(f"**{_parameter(method, arguments.kwarg, None)}")
    return parameters


def _parameter(method: Method, argument: ast.arg, default: ast.expr | None) -> str:
    if argument.annotation is None:
        return argument.arg
    ending = "" if default is None else f" = {ast.get_source_segment(method.source, default)}"
    return f"{argument.arg}: {_annotation(method, argument.annotation)}{ending}"


def _annotation(method: Method, node: ast.expr | None) -> str:
    annotation = node and ast.get_source_segment(method.source, node)
    if not annotation:
        raise SystemExit(f"{method.owner}.{method.node.name} lacks an annotation")
    for pattern, replacement in TYPES:
        annotation = re.sub(pattern, replacement, annotation)
    return annotation


def _body(method: Method) -> list[str]:
    """Return the statements of the synchronous method."""
    node = method.node
    if (method.owner, node.name) in BODIES:
        return BODIES[method.owner, node.name]
    if "property" in method.decorators:
        return [f"return self.wrapped.{node.name}"]
    arguments = ", ".join(_arguments(node.args))
    before = [f"{each} = iterated({each})" for each in _iterables(node.args)]
    call = f"lambda: self.wrapped.{node.name}({arguments})" if arguments else f"self.wrapped.{node.name}"
    if isinstance(node, ast.AsyncFunctionDef):
        is_empty = ast.unparse(node.returns) == "None" if node.returns else True
        return [*before, f"{'' if is_empty else 'return '}self._run({call})"]
    if node.returns and ast.unparse(node.returns).startswith("AsyncGenerator"):
        return [f"return self._iterate({call})"]
    raise SystemExit(f"{method.owner}.{node.name} is neither a coroutine nor an iterator: it needs one of BODIES")


def _arguments(parameters: ast.arguments) -> Iterator[str]:
    """Yield the arguments of a call that passes all parameters on."""
    yield from (each.arg for each in [*parameters.posonlyargs, *parameters.args][1:])
    yield from (f"{each.arg}={each.arg}" for each in parameters.kwonlyargs)
    if parameters.kwarg:
        yield f"**{parameters.kwarg.arg}"


def _iterables(parameters: ast.arguments) -> list[str]:
    """Return the names of the parameters whose iterators are to run in the thread of the caller."""
    return [each.arg for each in parameters.args if each.annotation and "Iterable" in ast.unparse(each.annotation)]


def _statement(statement: str) -> list[str]:
    if len(line := f"{INDENT * 2}{statement}") <= LINE_LENGTH:
        return [line]
    head, _, rest = statement.partition("(")
    return [f"{INDENT * 2}{head}(", f"{INDENT * 3}{rest.removesuffix(')')}", f"{INDENT * 2})"]


def _docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, indent: str, unused: set[str]) -> str:
    """Return the docstring of a class or a method, in the words of synchronous code."""
    paragraphs = (ast.get_docstring(node) or "").split("\n\n")
    text = "\n\n".join(filter(None, (_paragraph(each, indent, unused) for each in paragraphs)))
    if found := ASYNCHRONOUS.search(text):
        raise SystemExit(f"the docstring of {node.name} says {found[0]!r}: say it otherwise by a phrase")
    is_short = "\n" not in text and len(text) + len(indent) + 6 <= LINE_LENGTH
    lines = [f'"""{text}"""'] if is_short else [*f'"""{text}'.splitlines(), '"""']
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def _paragraph(text: str, indent: str, unused: set[str]) -> str:
    """Say a paragraph otherwise where it has to be; fill its lines again if it is nothing but sentences."""
    said = " ".join(text.split()) if _is_prose(text) else text
    for phrase, other in PHRASES.items():
        if phrase in said:
            unused.discard(phrase)
            said = said.replace(phrase, other)
    if not _is_prose(text) or said == " ".join(text.split()):
        return text if _is_prose(text) else said
    return textwrap.fill(said, LINE_LENGTH - len(indent), break_long_words=False, break_on_hyphens=False)


def _is_prose(text: str) -> bool:
    return not any(line.startswith((" ", "Args:", "Raises:")) for line in text.splitlines())


def _imports(tree: ast.Module, name: str, body: str) -> str:
    """Return the imports of the names that the classes use."""
    used = set(re.findall(r"\b[A-Za-z_]\w*\b", re.sub(r'""".*?"""', "", body, flags=re.DOTALL)))
    own = {NAMES[each] for each in MODULES[name]}
    wanted: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            wanted.setdefault(node.module, set()).update({each.name for each in node.names} & used)
    if "TypeVar" in used:
        wanted.setdefault("typing", set()).add("TypeVar")
    places = IMPORTED_FROM | {
        NAMES[each]: f"aaow_storage.sync.{module}" for module, classes in MODULES.items() for each in classes
    }
    places |= {each: f"aaow_storage.sync.{module}" for each, module in WRITTEN_BY_HAND.items()}
    for each in used & set(places) - own:
        wanted.setdefault(places[each], set()).add(each)
    lines = {module: _import(module, names) for module, names in wanted.items() if names}
    groups = [
        [lines[module] for module in sorted(lines) if module.startswith("aaow_storage") == is_ours]
        for is_ours in (False, True)
    ]
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def _import(module: str, names: set[str]) -> str:
    ordered = sorted(names, key=lambda each: (not each.isupper(), each.islower(), each.casefold()))
    if len(line := f"from {module} import {', '.join(ordered)}") <= LINE_LENGTH:
        return line
    return "\n".join([f"from {module} import (", *(f"{INDENT}{each}," for each in ordered), ")"])


if __name__ == "__main__":
    for path, text in modules().items():
        path.write_text(text)
