"""Places the nodes of a graph in layers, each edge from one layer to a later one, with few crossings.

The usual method in its simple form: turn the edges that close a loop round, put each node one layer after the last of
its predecessors, break edges over several layers into steps, and order each layer by the mean place of its neighbours.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from aaow_storage_studio._drawing.definition import Edge, Graph

SWEEPS = 8


@frozen
class Place:
    """Where a node is: its layer from the left, and its row in it."""

    layer: int
    row: float


@frozen
class Route:
    """An edge, and the places that it goes through, from its source to its target."""

    edge: Edge
    places: Sequence[Place]
    goes_back: bool = False


@frozen
class Layout:
    """The places of nodes by id, the routes of edges, and how many layers and rows there are."""

    places: Mapping[str, Place]
    routes: Sequence[Route]
    layers: int
    rows: int


def lay_out(graph: Graph) -> Layout:
    """Return places for all nodes of a graph."""
    ids = [node.id for node in graph.nodes]
    edges = [edge for edge in graph.edges if edge.source != edge.target]
    backward = _closing_edges(ids, edges)
    ends = {edge: (edge.target, edge.source) if edge in backward else (edge.source, edge.target) for edge in edges}
    layer_of = _layers(ids, list(ends.values()))
    layers: list[list[str]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for node_id in ids:
        layers[layer_of[node_id]].append(node_id)
    chains, links = _chains(ends, layer_of, layers)
    _order(layers, links)
    rows = max((len(layer) for layer in layers), default=0)
    places = {
        name: Place(number, row + (rows - len(layer)) / 2)
        for number, layer in enumerate(layers)
        for row, name in enumerate(layer)
    }
    routes = []
    for edge, chain in chains.items():
        through = [places[name] for name in chain]
        routes.append(Route(edge, through[::-1] if edge in backward else through, edge in backward))
    routes += [Route(edge, (places[edge.source],), True) for edge in graph.edges if edge.source == edge.target]
    return Layout({node_id: places[node_id] for node_id in ids}, routes, len(layers), rows)


def _closing_edges(ids: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """Return the edges that close a loop, on a walk from the nodes that nothing leads to."""
    leaving: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        leaving[edge.source].append(edge)
    reached = {edge.target for edge in edges}
    closing: set[Edge] = set()
    state: dict[str, str] = {}
    for start in [*(each for each in ids if each not in reached), *ids]:
        if start in state:
            continue
        state[start] = "open"
        path = [(start, iter(leaving[start]))]
        while path:
            node_id, left = path[-1]
            leads = next(left, None)
            if leads is None:
                state[node_id] = "done"
                path.pop()
            elif state.get(leads.target) == "open":
                closing.add(leads)
            elif leads.target not in state:
                state[leads.target] = "open"
                path.append((leads.target, iter(leaving[leads.target])))
    return closing


def _layers(ids: Sequence[str], ends: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of each node: the length of the longest way to it."""
    after: dict[str, list[str]] = defaultdict(list)
    waits_for: dict[str, int] = dict.fromkeys(ids, 0)
    for source, target in ends:
        after[source].append(target)
        waits_for[target] += 1
    layer_of = dict.fromkeys(ids, 0)
    ready = [node_id for node_id in ids if not waits_for[node_id]]
    while ready:
        node_id = ready.pop()
        for target in after[node_id]:
            layer_of[target] = max(layer_of[target], layer_of[node_id] + 1)
            waits_for[target] -= 1
            if not waits_for[target]:
                ready.append(target)
    return layer_of


def _chains(
    ends: Mapping[Edge, tuple[str, str]], layer_of: Mapping[str, int], layers: list[list[str]]
) -> tuple[dict[Edge, list[str]], dict[str, list[str]]]:
    """Break edges into steps from layer to layer, with a name for each step between; return them, and who is linked."""
    chains: dict[Edge, list[str]] = {}
    links: dict[str, list[str]] = defaultdict(list)
    for number, (edge, (source, target)) in enumerate(ends.items()):
        steps = [f"\0{number} {layer}" for layer in range(layer_of[source] + 1, layer_of[target])]
        for layer, step in enumerate(steps, layer_of[source] + 1):
            layers[layer].append(step)
        chains[edge] = [source, *steps, target]
        for one, other in pairwise(chains[edge]):
            links[one].append(other)
            links[other].append(one)
    return chains, links


def _order(layers: list[list[str]], links: Mapping[str, Sequence[str]]) -> None:
    """Order each layer by the mean place of its neighbours in the layer before, then in the one after, in turns."""
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for number in range(1, len(layers)) if forward else range(len(layers) - 2, -1, -1):
            beside = {name: row for row, name in enumerate(layers[number - 1 if forward else number + 1])}
            own = {name: row for row, name in enumerate(layers[number])}

            def mean(name: str, beside: dict[str, int] = beside, own: dict[str, int] = own) -> float:
                rows = [beside[each] for each in links.get(name, ()) if each in beside]
                return sum(rows) / len(rows) if rows else own[name]

            layers[number].sort(key=mean)
