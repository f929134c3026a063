"""A graph as SVG: boxes in layers from left to right, and curves between them."""

from collections.abc import Callable, Mapping
from itertools import pairwise

from markupsafe import Markup

from aaow_storage_studio._drawing.definition import Graph, Node
from aaow_storage_studio._drawing.layout import Place, Route, lay_out

WIDTH, HEIGHT = 148, 42
GAP_X, GAP_Y = 56, 22
MARGIN = 16
LETTERS = 18
"""How many letters of a label a box holds."""


def picture_of(graph: Graph, states: Mapping[str, str], link: Callable[[str], str | None] = lambda _: None) -> Markup:
    """Return the graph as SVG.

    Args:
        graph: the nodes and edges.
        states: the state of nodes by id, which becomes a class of the box.
        link: returns where a node's box leads to, by the id of the node.
    """
    layout = lay_out(graph)
    width = 2 * MARGIN + layout.layers * WIDTH + max(0, layout.layers - 1) * GAP_X
    below = GAP_Y if any(route.goes_back for route in layout.routes) else 0
    height = 2 * MARGIN + layout.rows * HEIGHT + max(0, layout.rows - 1) * GAP_Y + below
    parts = [_route(route) for route in layout.routes]
    parts += [_box(node, layout.places[node.id], states.get(node.id, ""), link(node.id)) for node in graph.nodes]
    described = f"{len(graph.nodes)} nodes, {len(graph.edges)} edges"
    return Markup(
        '<svg class="graph" role="group" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>{}</svg>'
    ).format(described, width, height, width, height, Markup("").join(parts))


def _corner(place: Place) -> tuple[float, float]:
    return MARGIN + place.layer * (WIDTH + GAP_X), MARGIN + place.row * (HEIGHT + GAP_Y)


def _box(node: Node, place: Place, state: str, href: str | None) -> Markup:
    x, y = _corner(place)
    label = node.label or node.id
    shown = label if len(label) <= LETTERS else f"{label[: LETTERS - 1]}…"
    said = " · ".join(part for part in (node.id if node.label else "", node.kind, state.replace("_", " ")) if part)
    body = Markup(
        '<g class="node {}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
        '<text x="{}" y="{}">{}</text><text class="kind" x="{}" y="{}">{}</text></g>'
    ).format(
        state,
        f"{label} ({said})" if said else label,
        *(round(x, 1), round(y, 1), WIDTH, HEIGHT),
        *(round(x + 10, 1), round(y + 18, 1), shown),
        *(round(x + 10, 1), round(y + 33, 1), _kind(node.kind, state)),
    )
    return body if href is None else Markup('<a href="{}">{}</a>').format(href, body)


def _kind(kind: str, state: str) -> str:
    words = " · ".join(part for part in (kind, state.replace("_", " ")) if part)
    return words if len(words) <= LETTERS + 4 else f"{words[: LETTERS + 3]}…"


def _route(route: Route) -> Markup:
    path = _loop(route.places[0]) if len(route.places) == 1 else _curve(route)
    css = "edge back" if route.goes_back else "edge"
    title = f"{route.edge.source} → {route.edge.target}" + (f": {route.edge.label}" if route.edge.label else "")
    line = Markup('<path class="{}" d="{}" marker-end="url(#arrow)"><title>{}</title></path>').format(css, path, title)
    if not route.edge.label or len(route.places) == 1:
        return line
    (x1, y1), (x2, y2) = _corner(route.places[0]), _corner(route.places[1])
    x = (max(x1, x2) + min(x1, x2) + WIDTH) / 2
    y = max(y1, y2) + HEIGHT + GAP_Y if route.goes_back else (y1 + y2 + HEIGHT) / 2 - 4
    label = route.edge.label if len(route.edge.label) <= LETTERS else f"{route.edge.label[: LETTERS - 1]}…"
    return line + Markup('<text class="condition" x="{}" y="{}">{}</text>').format(round(x, 1), round(y, 1), label)


def _curve(route: Route) -> str:
    """Return a path from box to box; one that goes back leaves at the left and arrives at the right.

    One that goes back to the layer before leaves and arrives below, because the boxes may be side by side.
    """
    if route.goes_back and len(route.places) == len(("source", "target")):
        (x1, y1), (x2, y2) = map(_corner, route.places)
        low = max(y1, y2) + HEIGHT + GAP_Y - 2
        right, left = x1 + 24, x2 + WIDTH - 24
        return f"M{right:.1f} {y1 + HEIGHT:.1f}C{right:.1f} {low:.1f} {left:.1f} {low:.1f} {left:.1f} {y2 + HEIGHT:.1f}"
    step = -1 if route.goes_back else 1
    points = []
    for number, place in enumerate(route.places):
        x, y = _corner(place)
        middle = y + HEIGHT / 2
        if number > 0:
            points.append((x + (WIDTH if step < 0 else 0), middle))
        if number < len(route.places) - 1:
            points.append((x + (0 if step < 0 else WIDTH), middle))
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = (x2 - x1) / 2
        parts.append(f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
    return "".join(parts)


def _loop(place: Place) -> str:
    x, y = _corner(place)
    right, bottom = x + WIDTH - 20, y + HEIGHT
    return f"M{right:.1f} {bottom:.1f}c0 20 -40 20 -40 2"
