"""Reads a JSON document of any format as a workflow: which steps it has, of which kind, in which order."""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from attrs import frozen

from aaow_storage import JSONObject, StoredWorkflow, ValidationError

MAX_ID_LENGTH = 200


class DefinitionError(Exception):
    """A file cannot be a workflow definition; the message names the file, and the place in it if it is known."""


class NodeKind(StrEnum):
    """What a step does."""

    TRANSFORM = "transform"
    TOOL = "tool"
    LLM = "llm"
    REVIEW = "review"
    STREAM = "stream"


@frozen(kw_only=True)
class Node:
    """A step of a workflow. `is_added` is true if the step is not in the document."""

    id: str
    name: str
    kind: NodeKind
    prompt: str
    tools: tuple[str, ...] = ()
    budget: str | None = None
    is_added: bool = False


def read_workflow(path: Path) -> StoredWorkflow:
    """Read a file as a workflow to be stored; a document that is not a JSON object is wrapped in one.

    Raises:
        DefinitionError: the file cannot be read, or is not JSON that storage can keep unchanged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    document = _parse(path, content)
    definition = document if isinstance(document, dict) else {"document": document}
    stem = _text(path.stem) or "workflow"
    try:
        return StoredWorkflow(
            id=_text(definition.get("id"))[:MAX_ID_LENGTH] or stem,
            name=_text(definition.get("name")) or stem,
            version=_text(definition.get("version")) or "1",
            definition=definition,
            metadata={"file": _text(path.name), "is_wrapped": definition is not document},
        )
    except ValidationError as error:
        place = error.field if len(error.field) <= MAX_ID_LENGTH else f"{error.field[:MAX_ID_LENGTH]}..."
        raise DefinitionError(f"{path}: {place}: {error.problem}") from error


def _parse(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        raise DefinitionError(f"{path}, line {line}, column {column}: not UTF-8: {error.reason}") from error
    except json.JSONDecodeError as error:
        problem = "the file is empty" if not content.strip() else f"not JSON: {error.msg}"
        raise DefinitionError(f"{path}, line {error.lineno}, column {error.colno}: {problem}") from error
    except RecursionError as error:
        raise DefinitionError(f"{path}: lists and objects are nested too deep") from error
    except ValueError as error:  # Python reads no integers of more than 4300 digits
        raise DefinitionError(f"{path}: an integer has too many digits") from error


def nodes_of(definition: JSONObject) -> list[Node]:
    """Return the steps of a definition, in an order in which they can run.

    Steps are the entries of its `nodes`, a list or a mapping, without notes. A run should show every kind of step, so
    one of each kind that the document lacks is added at the end.
    """
    found = {node.id: node for node in _found_nodes(definition.get("nodes"))}
    ordered = [found[node_id] for node_id in _in_running_order(found, _edges(definition, found))]
    kinds = {node.kind for node in ordered}
    return ordered + [node for node in _ADDED_NODES if node.kind not in kinds]


_ADDED_NODES = (
    Node(id="quickstart:shape", name="Shape the input", kind=NodeKind.TRANSFORM, prompt="", is_added=True),
    Node(
        id="quickstart:look_up",
        name="Look something up",
        kind=NodeKind.TOOL,
        prompt="Find out what is known.",
        tools=("look_up",),
        is_added=True,
    ),
    Node(id="quickstart:answer", name="Answer", kind=NodeKind.LLM, prompt="Answer from what is known.", is_added=True),
    Node(id="quickstart:review", name="Review by a human", kind=NodeKind.REVIEW, prompt="", is_added=True),
    Node(id="quickstart:publish", name="Publish", kind=NodeKind.STREAM, prompt="", is_added=True),
)

_KINDS_BY_WORD = (
    (NodeKind.TRANSFORM, ("transform", "trigger", "memory", "parser")),
    (NodeKind.REVIEW, ("review", "approv", "human", "moderat")),
    (NodeKind.TOOL, ("tool", "http", "search", "sql", "postgres", "supabase", "sheet", "drive", "mail", "calendar")),
    (NodeKind.TOOL, ("telegram", "slack", "ssh", "fetch", "browse", "executeworkflow", "database")),
    (NodeKind.LLM, ("llm", "lmchat", "openai", "anthropic", "gpt", "agent", "chain", "chat", "prompt", "extractor")),
    (NodeKind.STREAM, ("stream", "respond", "publish")),
)


def _kind(words: str) -> NodeKind:
    """Guess the kind of a step from its type, or from its name if it has no type."""
    words = words.lower()
    return next((kind for kind, hints in _KINDS_BY_WORD if any(hint in words for hint in hints)), NodeKind.TRANSFORM)


def _found_nodes(nodes: object) -> Iterator[Node]:
    """Return a node for each entry, with an id that no earlier one has."""
    entries = list(nodes.items()) if isinstance(nodes, dict) else [("", entry) for entry in _list(nodes)]
    taken = set()
    for number, (key, entry) in enumerate(entries, 1):
        fields: JSONObject = entry if isinstance(entry, dict) else {"name": entry}
        type_of_node = _text(fields.get("type"))
        if "stickynote" in type_of_node.lower():
            continue
        name = _text(fields.get("name"))
        node_id = wanted = (_text(fields.get("id")) or _text(key) or name or f"node-{number}")[:MAX_ID_LENGTH]
        repeats = 1
        while node_id in taken:
            repeats += 1
            node_id = f"{wanted} ({repeats})"
        taken.add(node_id)
        kind = _kind(type_of_node.rsplit(".", maxsplit=1)[-1] or f"{name} {node_id}")
        tools = tuple(filter(None, map(_text, _list(fields.get("tools")))))
        yield Node(
            id=node_id,
            name=name or node_id,
            kind=kind,
            prompt=_text(fields.get("prompt")) or name or node_id,
            tools=tools or ((name or node_id,) if kind is NodeKind.TOOL else ()),
            budget=_text(fields.get("budget")) or None,
        )


def _edges(definition: JSONObject, nodes: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    """Return which node leads to which: from `edges` with from and to, or from `connections` by name, as in n8n."""
    ids = {node.name: node.id for node in nodes.values()} | {node.id: node.id for node in nodes.values()}
    listed = (
        (edge.get("from", edge.get("source")), edge.get("to", edge.get("target")))
        for edge in _list(definition.get("edges"))
        if isinstance(edge, dict)
    )
    connections = definition.get("connections")
    connected = (
        (source, target)
        for source, outlets in (connections.items() if isinstance(connections, dict) else ())
        for target in _targets(outlets)
    )
    for ends in chain(listed, connected):
        source, target = (ids.get(_text(end)) for end in ends)
        if source is not None and target is not None:
            yield source, target


def _targets(outlets: object) -> Iterator[object]:
    """Walk the lists and mappings of an n8n connection, and return each `node` in them."""
    waiting = [outlets]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict) and "node" in part:
            yield part["node"]
        elif isinstance(part, dict | list):
            waiting.extend(part.values() if isinstance(part, dict) else part)


def _in_running_order(ids: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Order the ids so that each comes after all that lead to it, or in a cycle after one of them."""
    followers: dict[str, list[str]] = {node_id: [] for node_id in ids}
    open_edges = dict.fromkeys(followers, 0)
    for source, target in edges:
        followers[source].append(target)
        open_edges[target] += 1
    ready = [node_id for node_id in reversed(followers) if open_edges[node_id] == 0]
    reached: deque[str] = deque()
    others = iter(followers)
    ordered: dict[str, None] = {}
    while len(ordered) < len(followers):
        node_id = ready.pop() if ready else reached.popleft() if reached else next(others)
        if node_id in ordered:
            continue
        ordered[node_id] = None
        for follower in reversed(followers[node_id]):
            open_edges[follower] -= 1
            (reached if open_edges[follower] else ready).append(follower)
    return list(ordered)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    """Return a text or a number as one line that can be an id or a name, and "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    printable = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", str(value)).encode(errors="replace").decode()
    return " ".join(printable.split())
