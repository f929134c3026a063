"""The page `compare`: two sessions side by side, by definition, states, outputs, tokens and cost."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from attrs import frozen

from aaow_storage import JSON
from aaow_storage_studio._web.pages import Page
from aaow_storage_studio._web.run import sum_of_costs
from aaow_storage_studio._web.visit import Visit
from aaow_storage_tools import NodeView, SessionView, view_session

MAX_LINES = 4_000
"""How many lines of a definition are compared; of a longer one, only whether it is equal is said."""
CONTEXT = 3
"""How many equal lines are shown around those that differ."""


@frozen
class Side:
    """What one session did, or one of its nodes.

    Attributes:
        status: its status, None if it has none.
        duration: how long it took, None if that is not known.
        attempts: how often it was begun.
        calls: how many model calls it made.
        tokens: what they used.
        costs: what they cost, by currency.
        error: its error.
        output: the output of a node.
    """

    status: str | None
    duration: timedelta | None
    attempts: int
    calls: int
    tokens: int
    costs: Mapping[str, Decimal]
    error: str | None
    output: JSON

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON; the duration is a number of seconds."""
        return {
            "status": self.status,
            "duration": None if self.duration is None else self.duration.total_seconds(),
            "attempts": self.attempts,
            "calls": self.calls,
            "tokens": self.tokens,
            "costs": {currency: f"{cost:f}" for currency, cost in self.costs.items()},
            "error": self.error,
            "output": self.output,
        }


@frozen
class NodePair:
    """A node in both sessions, or in one of them."""

    node_id: str
    a: Side | None
    b: Side | None

    @property
    def differs(self) -> bool:
        """Whether the node is in one session alone, or ended otherwise, or with another output."""
        if self.a is None or self.b is None:
            return True
        return (self.a.status, self.a.error, self.a.output) != (self.b.status, self.b.error, self.b.output)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "node_id": self.node_id,
            "differs": self.differs,
            "a": None if self.a is None else self.a.to_dict(),
            "b": None if self.b is None else self.b.to_dict(),
        }


@frozen
class CompareView:
    """What the page shows; without two sessions, a form that asks for them.

    Attributes:
        ids: the sessions.
        views: what they hold; empty if they were not named.
        totals: the sums of each.
        nodes: the nodes of both, in the order of the first; those of the second alone follow.
        lines: the lines of the two definitions that differ, and some around them, as pairs of a sign and a text; None
            if they are too long.
        has_same_definition: whether the definitions are equal.
    """

    ids: tuple[str, str]
    views: tuple[SessionView, ...] = ()
    totals: tuple[Side, ...] = ()
    nodes: Sequence[NodePair] = ()
    lines: Sequence[tuple[str, str]] | None = ()
    has_same_definition: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "sessions": [view.session.to_dict() for view in self.views],
            "totals": [side.to_dict() for side in self.totals],
            "nodes": [pair.to_dict() for pair in self.nodes],
            "has_same_definition": self.has_same_definition,
            "definition": None if self.lines is None else [list(line) for line in self.lines],
        }


async def read(visit: Visit) -> CompareView:
    """Read the page: the sessions `a` and `b`."""
    ids = (visit.text("a"), visit.text("b"))
    if not all(ids):
        return CompareView(ids)
    first, second = [await view_session(visit.storage, session_id) for session_id in ids]
    nodes_a, nodes_b = ({node.node_id: _side_of(node) for node in view.nodes} for view in (first, second))
    pairs = [NodePair(name, nodes_a.get(name), nodes_b.get(name)) for name in dict.fromkeys([*nodes_a, *nodes_b])]
    definitions = first.session.workflow_snapshot, second.session.workflow_snapshot
    return CompareView(
        ids,
        (first, second),
        (_total_of(first, nodes_a.values()), _total_of(second, nodes_b.values())),
        pairs,
        differing_lines(*definitions),
        definitions[0] == definitions[1],
    )


def differing_lines(a: JSON, b: JSON) -> list[tuple[str, str]] | None:
    """Return the lines of two documents that differ, with their neighbours: `-` and `+`, a blank, or `…` for a gap.

    None is returned if one of them is too long to be compared.
    """
    if a == b:
        return []
    texts = tuple(json.dumps(each, ensure_ascii=False, indent=2).splitlines() for each in (a, b))
    if max(map(len, texts)) > MAX_LINES:
        return None
    lines: list[tuple[str, str]] = []
    for group in SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_grouped_opcodes(CONTEXT):
        if lines or group[0][1]:
            lines.append(("…", ""))
        for kind, a_from, a_to, b_from, b_to in group:
            if kind == "equal":
                lines += [(" ", line) for line in texts[0][a_from:a_to]]
                continue
            lines += [("-", line) for line in texts[0][a_from:a_to]]
            lines += [("+", line) for line in texts[1][b_from:b_to]]
    return lines


def _side_of(node: NodeView) -> Side:
    state = node.state
    started = None if state is None else state.started_at
    ended = None if state is None else state.completed_at
    return Side(
        None if state is None else str(state.status),
        ended - started if started is not None and ended is not None else None,
        0 if state is None else 1 + len(state.attempts),
        len(node.executions),
        sum(each.usage.total_tokens for each in node.executions if each.usage is not None),
        sum_of_costs({each.currency: each.cost} for each in node.executions if each.cost is not None and each.currency),
        None if state is None else state.error,
        None if state is None else state.output,
    )


def _total_of(view: SessionView, sides: Collection[Side]) -> Side:
    state = view.state
    started = view.session.created_at if state is None or state.started_at is None else state.started_at
    ended = None if state is None else state.completed_at
    return Side(
        str(view.session.status),
        None if ended is None else ended - started,
        sum(side.attempts for side in sides),
        sum(side.calls for side in sides),
        sum(side.tokens for side in sides),
        sum_of_costs(side.costs for side in sides),
        None,
        None,
    )


PAGES = (Page("compare", "compare.html", read),)
