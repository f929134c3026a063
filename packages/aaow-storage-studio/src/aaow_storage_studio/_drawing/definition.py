"""`Graph`: the nodes and edges of a workflow's definition, wherever they stand in it."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

_NODES = ("nodes", "steps", "tasks")
_EDGES = ("edges", "links", "connections")
_ENDS = (("source", "target"), ("from", "to"), ("source_id", "target_id"), ("start", "end"))


@frozen
class Node:
    """A node: its id, its kind such as `"llm"`, and what it is called."""

    id: str
    kind: str = ""
    label: str = ""


@frozen
class Edge:
    """An edge from one node to another, perhaps with a condition as its label."""

    source: str
    target: str
    label: str = ""


@frozen
class Graph:
    """The nodes and edges of a definition. An edge whose ends are not among the nodes is left out."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()


def graph_of(definition: Mapping[str, Any]) -> Graph | None:
    """Return the graph of a definition: its list, or mapping, of nodes and its list of edges; None if it has no nodes.

    Edges may also be named by the nodes themselves: under `next`, or under `depends_on`.
    """
    found = next((definition[name] for name in _NODES if isinstance(definition.get(name), list | dict)), None)
    if found is None:
        return None
    parts = (
        [{"id": key, **value} if isinstance(value, dict) else {"id": key} for key, value in found.items()]
        if (isinstance(found, dict))
        else found
    )
    described = [part for part in parts if isinstance(part, dict) and _text(part.get("id"))]
    nodes = [Node(_text(part["id"]), _text(part.get("type")), _label(part)) for part in described]
    ids = {node.id for node in nodes}
    edges = [*_listed_edges(definition), *_edges_of_nodes(described)]
    known = dict.fromkeys(edge for edge in edges if edge.source in ids and edge.target in ids)
    return Graph(tuple(nodes), tuple(known)) if nodes else None


def _listed_edges(definition: Mapping[str, Any]) -> Iterable[Edge]:
    listed: list[Any] = next((definition[name] for name in _EDGES if isinstance(definition.get(name), list)), [])
    for edge in listed:
        if isinstance(edge, list) and len(edge) >= len(_ENDS[0]):
            yield Edge(_text(edge[0]), _text(edge[1]))
        elif isinstance(edge, dict):
            for source, target in _ENDS:
                if source in edge and target in edge:
                    yield Edge(_text(edge[source]), _text(edge[target]), _text(edge.get("condition")) or _label(edge))
                    break


def _edges_of_nodes(nodes: Iterable[Mapping[str, Any]]) -> Iterable[Edge]:
    for node in nodes:
        own = _text(node["id"])
        for target in _ids(node.get("next")):
            yield Edge(own, target)
        for source in _ids(node.get("depends_on")):
            yield Edge(source, own)


def _ids(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in map(_text, values) if each]


def _label(part: Mapping[str, Any]) -> str:
    return _text(part.get("label")) or _text(part.get("name"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
